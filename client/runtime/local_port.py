"""The local port between a site's own two processes: which one a new site gets, and whether it is free."""

import socket

from client.site_folder.places import Home, read_connection
from common.errors import InputError

LOOPBACK = "127.0.0.1"


DEFAULT, TRIED = 9094, 100
"""What a site gets if it is free, and how many from there on are looked at if it is not."""


LOWEST, HIGHEST = 1024, 65535


def is_free(port: int) -> bool:
    """Whether a process could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose() -> int:
    """The default port, or where that is taken on this machine the first free one after it.

    Raises:
        InputError: if none is free.
    """
    for port in range(DEFAULT, DEFAULT + TRIED):
        if is_free(port):
            return port
    what = f"is needed: {DEFAULT} to {DEFAULT + TRIED - 1} are all in use on this machine"
    raise InputError("--port", what, f"give a free one from {LOWEST} to {HIGHEST}")


def checked(port: int) -> int:
    """A port that was asked for.

    Raises:
        InputError: if no site could listen there.
    """
    if not LOWEST <= port <= HIGHEST:
        raise InputError(
            "--port", "is not a port that a site can use", f"give one from {LOWEST} to {HIGHEST}"
        )
    return port


def require_free(home: Home) -> None:
    """Make sure that the site's port can be listened on.

    Raises:
        InputError: if something listens there.
    """
    port = read_connection(home).port
    if not is_free(port):
        remedy = "end what uses it, or change the port there to a free one"
        raise InputError(f"{home.connection}, port", f"{port} is in use on this machine", remedy)
