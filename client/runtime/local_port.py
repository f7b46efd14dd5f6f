"""Local port between a site's two processes: choice of a new one, and whether it is free."""

import socket

from client.site_folder.places import Home, read_connection
from common.errors import MachineError, OptionError

LOOPBACK = "127.0.0.1"


DEFAULT, TRIED = 9094, 100
"""Port of a new site if it is free, and number of ports from there on that are tried."""


LOWEST, HIGHEST = 1024, 65535


def is_free(port: int) -> bool:
    """Whether a process could listen on the port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(first: int = DEFAULT, count: int = TRIED) -> int:
    """Choose the first free port of `count` from `first` on.

    Raises:
        MachineError: if none is free.
    """
    for port in range(first, first + count):
        if is_free(port):
            return port
    what = f"is needed: {first} to {first + count - 1} are all in use on this machine"
    raise MachineError("--port", what, f"give a free one from {LOWEST} to {HIGHEST}")


def require_usable(port: int) -> None:
    """Require a port that a site may listen on.

    Raises:
        OptionError: if it is reserved or no port.
    """
    if not LOWEST <= port <= HIGHEST:
        raise OptionError(
            "--port", "is not a port that a site can use", f"give one from {LOWEST} to {HIGHEST}"
        )


def require_free(home: Home) -> None:
    """Require that nothing listens on the site's port.

    Raises:
        MachineError: if something does.
    """
    port = read_connection(home).port
    if not is_free(port):
        remedy = "end what uses it, or change the port there to a free one"
        raise MachineError(f"{home.connection}, port", f"{port} is in use on this machine", remedy)
