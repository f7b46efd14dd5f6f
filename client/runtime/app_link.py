"""Link from the gate to the app.

The app is a process that the gate starts, or a service under another account.
"""

import errno
import logging
import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from client.runtime.channel import AppRequest, Channel, ChannelError, FrameKind
from common.processes.program import PROGRAM

if TYPE_CHECKING:
    import numpy as np
    from flwr.app import Message, RecordDict
    from numpy.typing import NDArray

    from client.privacy.noise import NoisedSteps, NoisedSums

log = logging.getLogger("consilium.gatekeeper")


APP = ("client.runtime.app_process",)


_PEER = struct.Struct("3i")
"""Credentials of the other end of a socket: pid, uid, gid."""


ENDS_S = 10.0
"""Seconds for the app to close its end once it has answered."""


PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CONSILIUM_STATE", "XDG_STATE_HOME")
PREFIXES = (
    "LC_",
    "PYTHON",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "MALLOC_",
    "CUDA_",
    "CUBLAS_",
    "NVIDIA_",
    "TORCH",
    "FLWR_",
)
"""Variables of the environment that the app's process gets, by name and by how their names begin; no proxy's password
and no token is among them."""


@dataclass(frozen=True)
class BoundedRequest:
    """Request to the app, with the bounds of its reply.

    Attributes:
        run: Flower's id of the run.
        message: the request.
        longest: bytes that the reply may have.
        longest_s: seconds that it may take.
        steps: taken by the gate for the app, or noise that it adds to the app's statistics; None for neither.
    """

    run: int
    message: "Message"
    longest: int
    longest_s: float
    steps: "NoisedSteps | NoisedSums | None"


class Link(Protocol):
    """Way to the app for one message."""

    def ask(self, request: BoundedRequest) -> "RecordDict":
        """Ask for the content of a reply.

        Raises:
            ChannelError: if the app sends anything else than sums for them and one such reply.
            NoiseError: if a sum is none of an honest sample, or one too many.
            SilentError: if it ends before, or takes too long.
        """
        ...

    def close(self) -> None:
        """End whatever the app still does for this message."""
        ...


def ask_over(connection: socket.socket, request: BoundedRequest) -> "RecordDict":
    """Ask the app at the other end of a socket; see `Link.ask`."""
    from client.flower.internals import content_bytes, read_content

    channel, message, steps = Channel(connection, request.longest_s), request.message, request.steps
    question = AppRequest(request.run, message.metadata.message_type, content_bytes(message.content))
    channel.send(FrameKind.REQUEST, question.to_bytes())
    allowed = {FrameKind.REPLY: request.longest} | ({} if steps is None else {FrameKind.SUMS: 8 * steps.size})
    while True:
        kind, body = channel.receive(allowed)
        if steps is None or kind is FrameKind.REPLY:
            break
        channel.send(FrameKind.NOISED, steps.take(doubles(body)).tobytes())
    Channel(connection, ENDS_S).expect_end()
    try:
        return read_content(body)
    except ValueError as error:
        raise ChannelError from error


def doubles(body: bytes) -> "NDArray[np.float64]":
    """Read the sums of a frame.

    Raises:
        ChannelError: if these are no whole numbers of 8 bytes.
    """
    import numpy as np

    if len(body) % 8:
        raise ChannelError
    return np.frombuffer(body, np.float64)


class AppProcess:
    """App in a process of its own.

    It is started at once, so that it imports while the gate looks at the request.

    Its output goes where this process' errors go, which is the site's own log.

    Args:
        folder: the site folder.
        program: our module and its first arguments; the number of the socket follows.
    """

    def __init__(self, folder: Path, program: tuple[str, ...] = APP) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = start_app(theirs, folder, os.environ, program)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, request: BoundedRequest) -> "RecordDict":
        """See `Link.ask`."""
        return ask_over(self._connection, request)

    def close(self) -> None:
        """Kill the process if it has not ended, and wait for its end."""
        self._connection.close()
        self._process.kill()
        self._process.wait()


class AppService:
    """App that is a service under an account of its own.

    It is connected to at once, so that it imports while the gate looks at the request.

    Args:
        path: the socket at which it listens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        try:
            self._connection, _ = connect_to_app(path)
        except OSError as error:
            self._fault = error.strerror or type(error).__name__

    def ask(self, request: BoundedRequest) -> "RecordDict":
        """See `Link.ask`.

        Raises:
            Refusal: APP_UNAVAILABLE if nobody listens at the socket, or another account than its folder's owner.
        """
        if self._connection is None:
            from common.errors import Refusal, RefusalCode

            log.error("the app does not answer at %s (%s): start its service", self._path, self._fault)
            raise Refusal(RefusalCode.APP_UNAVAILABLE)
        return ask_over(self._connection, request)

    def close(self) -> None:
        """Close the connection, with which the app's process for this message ends."""
        if self._connection is not None:
            self._connection.close()


def connect_to_app(path: Path) -> tuple[socket.socket, int]:
    """Connect to the app's service, and return (connection, the uid of its account).

    Raises:
        OSError: if nobody listens there, or another account than the one that alone can write the socket's folder.
    """
    folder = path.parent.stat()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
        uid = peer(connection)
        if uid != folder.st_uid or folder.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "another account listens there, or could")
    except BaseException:
        connection.close()
        raise
    return connection, uid


def peer(connection: socket.socket) -> int:
    """Uid of the process at the other end of a Unix socket, as the system knows it."""
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(uid)


def start_app(
    connection: socket.socket, folder: Path, variables: Mapping[str, str], program: tuple[str, ...] = APP
) -> "subprocess.Popen[bytes]":
    """Start the app's process for one message.

    Its output goes where this process' errors go.

    Args:
        connection: to the gate.
        folder: the site folder.
        variables: environment, of which it gets its part.
        program: our module and its first arguments; folder and number of the socket follow.
    """
    return subprocess.Popen(
        [*PROGRAM, *program, str(folder), str(connection.fileno())],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=2,
        pass_fds=[connection.fileno()],
    )


def environment(whole: Mapping[str, str]) -> dict[str, str]:
    """Part of an environment that the app's process gets."""
    return {name: value for name, value in whole.items() if name in PASSED_ON or name.startswith(PREFIXES)}
