"""Channel of frames between gate and app: of expected kinds, and of bounded length.

A frame is its kind, the length of its body, and the body. Its reader says which kinds may come next and how long each
may be, and reads nothing of another frame: a length is held against its bound before any memory is taken for it.
"""

import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

_HEAD = struct.Struct(">BQ")


class FrameKind(IntEnum):
    """Kinds of frame."""

    REQUEST = 1
    REPLY = 2
    SUMS = 3
    NOISED = 4


@dataclass(frozen=True)
class AppRequest:
    """Body of a request's frame.

    Attributes:
        run: Flower's id of the run.
        kind: type of the message.
        content: the message's content, as Flower serialises it.
    """

    run: int
    kind: str
    content: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        return json.dumps([self.run, self.kind]).encode() + b"\n" + self.content

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        head, _, content = body.partition(b"\n")
        run, kind = json.loads(head)
        return cls(run, kind, content)


class ChannelError(Exception):
    """Bytes that are no expected frame."""


class SilentError(Exception):
    """An other side that ended, or did not answer in time."""


class Channel:
    """One side's end of a channel.

    Args:
        connection: a connected stream socket.
        longest_s: seconds from now until which everything must be over; None for no limit.
    """

    def __init__(self, connection: socket.socket, longest_s: float | None = None) -> None:
        self._connection = connection
        self._ends = None if longest_s is None else time.monotonic() + longest_s

    def send(self, kind: FrameKind, body: bytes) -> None:
        """Send a frame.

        Raises:
            SilentError: if the other side does not take it.
        """
        self._limit()
        try:
            self._connection.sendall(_HEAD.pack(kind, len(body)))
            self._connection.sendall(body)
        except OSError as error:
            raise SilentError from error

    def receive(self, longest: Mapping[FrameKind, int]) -> tuple[FrameKind, bytes]:
        """Receive the next frame as (kind, body).

        Args:
            longest: bytes that a body may have, for every kind that may come.

        Raises:
            ChannelError: if it is of another kind, or longer.
            SilentError: if the other side ends before, or takes too long.
        """
        number, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if number not in longest or length > longest[FrameKind(number)]:
            raise ChannelError
        return FrameKind(number), self._exactly(length)

    def expect_end(self) -> None:
        """Wait until the other side has closed its end.

        Raises:
            ChannelError: if it sends something instead.
            SilentError: if it takes too long.
        """
        if self._received(memoryview(bytearray(1))):
            raise ChannelError

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def _exactly(self, length: int) -> bytes:
        body = bytearray(length)
        view = memoryview(body)
        while len(view):
            count = self._received(view)
            if not count:
                raise SilentError
            view = view[count:]
        return bytes(body)

    def _received(self, view: memoryview) -> int:
        self._limit()
        try:
            return self._connection.recv_into(view)
        except OSError as error:
            raise SilentError from error

    def _limit(self) -> None:
        if self._ends is not None:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise SilentError
            self._connection.settimeout(left)
