"""Service of the app under an account of its own: a process per message of the gate.

It listens at a Unix socket and takes connections of the gate's account alone. Neither it nor what it starts can read
the node key, the receipts or the SuperNode's state, which belong to the gate's account.
"""

import logging
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event

from client.runtime.app_link import APP, peer, start_app
from client.runtime.services import inherited, remove_unfinished_of
from client.site_folder.places import Home
from common.errors import MachineError, StateError
from common.processes.task_launcher import stop_signals

log = logging.getLogger("consilium.app")


LOOKS_S = 0.5
"""Seconds after which a service without a message looks whether it was stopped."""


UMASK = 0o007
"""Mask for what the app writes: its own account and the group that it shares with the gate."""


MODE = 0o660
"""Mode of the socket."""


def serve_app(home: Home, path: Path, program: tuple[str, ...] = APP, stopping: Event | None = None) -> None:
    """Answer the gate until SIGTERM or SIGINT; what is computed then is ended.

    Args:
        home: the site folder.
        path: of the socket.
        program: of the app's process.
        stopping: set to stop; by default by these signals.

    Raises:
        InputError: if the socket cannot be made, or another service listens there.
    """
    os.umask(UMASK)
    remove_unfinished_of(home)
    stopping = stopping or stop_signals()
    children: list[subprocess.Popen[bytes]] = []
    with _listening(path) as listener:
        try:
            while not stopping.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection:
                        if (child := _answering(home, connection, program)) is not None:
                            children.append(child)
                children = [child for child in children if child.poll() is None]
        finally:
            path.unlink(missing_ok=True)
            for child in children:
                child.kill()
            for child in children:
                child.wait()


def _answering(
    home: Home, connection: socket.socket, program: Sequence[str]
) -> "subprocess.Popen[bytes] | None":
    uid = peer(connection)
    if uid != gate_account(home):
        log.warning("a process of the account %d was refused: it is not the gate's", uid)
        return None
    connection.setblocking(True)
    return start_app(connection, home.folder, inherited(home), tuple(program))


def gate_account(home: Home) -> int:
    """Uid of the gate, to which the folder of the keys belongs.

    Raises:
        OSError: if there is none.
    """
    return home.key.parent.stat().st_uid


def _listening(path: Path) -> socket.socket:
    """Listen at a path, in place of a service that was killed.

    Raises:
        InputError: if another service listens there, or the socket cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        if path.is_socket():
            if _is_answered(path):
                what = "another service listens there"
                raise StateError(str(path), what, "stop it, or give another --socket")
            path.unlink()
        listener.bind(str(path))
        path.chmod(MODE)
        listener.listen()
    except OSError as error:
        listener.close()
        what = f"no socket can be made there ({error.strerror or type(error).__name__})"
        remedy = "give a path of less than 108 bytes in a folder of this account"
        raise MachineError(str(path), what, remedy) from None
    except BaseException:
        listener.close()
        raise
    listener.settimeout(LOOKS_S)
    return listener


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
        return attempt.connect_ex(str(path)) == 0
