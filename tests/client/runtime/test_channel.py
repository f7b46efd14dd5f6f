"""Frames arrive whole, and what is no expected frame is not read."""

import socket
import threading
from collections.abc import Iterator

import pytest

from client.runtime.channel import AppRequest, Channel, ChannelError, FrameKind, SilentError

Pair = tuple[socket.socket, socket.socket]
SEVERAL_BUFFERS = 8 << 20


@pytest.fixture
def ends() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def head(kind: int, length: int) -> bytes:
    return bytes([kind]) + length.to_bytes(8, "big")


@pytest.mark.parametrize("body", [b"", b"a", bytes(SEVERAL_BUFFERS)])
def test_a_frame_arrives(ends: Pair, body: bytes) -> None:
    ours, theirs = ends
    sender = threading.Thread(target=Channel(theirs).send, args=(FrameKind.REPLY, body))
    sender.start()
    assert Channel(ours).receive({FrameKind.REPLY: SEVERAL_BUFFERS}) == (FrameKind.REPLY, body)
    sender.join()


@pytest.mark.parametrize(
    ("kind", "length"), [(1, 1), (0, 0), (99, 0), (2, 11), (2, 10 << 30), (2, 2**64 - 1)]
)
def test_another_kind_or_a_longer_body_is_not_read(ends: Pair, kind: int, length: int) -> None:
    ours, theirs = ends
    theirs.sendall(head(kind, length))
    with pytest.raises(ChannelError):
        Channel(ours).receive({FrameKind.REPLY: 10})


@pytest.mark.parametrize("sent", [b"", head(2, 10)[:5], head(2, 10), head(2, 10) + b"123456789"])
def test_an_early_end_is_silence(ends: Pair, sent: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(SilentError):
        Channel(ours).receive({FrameKind.REPLY: 10})


def test_whoever_takes_too_long_is_not_waited_for(ends: Pair) -> None:
    ours, theirs = ends
    channel = Channel(ours, 0.05)
    with pytest.raises(SilentError):
        channel.receive({FrameKind.REPLY: 10})
    theirs.sendall(head(2, 0))
    with pytest.raises(SilentError):
        channel.receive({FrameKind.REPLY: 10})
    with pytest.raises(SilentError):
        channel.send(FrameKind.REQUEST, b"")


def test_one_who_does_not_read_is_not_waited_for(ends: Pair) -> None:
    with pytest.raises(SilentError):
        Channel(ends[0], 0.05).send(FrameKind.REQUEST, bytes(SEVERAL_BUFFERS))


def test_nothing_may_follow_the_last_frame(ends: Pair) -> None:
    ours, theirs = ends
    with pytest.raises(SilentError):
        Channel(ours, 0.05).expect_end()
    theirs.sendall(b"a")
    with pytest.raises(ChannelError):
        Channel(ours, 5).expect_end()
    theirs.close()
    Channel(ours, 5).expect_end()


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo"])
def test_a_question_is_read_as_it_was_written(content: bytes) -> None:
    question = AppRequest(2**64 - 1, "query.statistics", content)
    assert AppRequest.of(question.to_bytes()) == question
