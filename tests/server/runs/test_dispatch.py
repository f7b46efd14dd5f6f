from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest
from flwr.app import Error, Message, RecordDict

from server.runs.dispatch import POLL_S, QUICK_S, exchange

if TYPE_CHECKING:
    from tests.server.conftest import Bench, FakeClock


class SlowGrid:
    """Takes what is sent to the nodes it knows, and has the replies that are put there."""

    def __init__(self, nodes: Iterable[int]) -> None:
        self.nodes = set(nodes)
        self.sent: dict[str, Message] = {}
        self.ready: list[Message] = []
        self.asked_for: list[list[str]] = []

    def push_messages(self, messages: list[Message]) -> list[str | None]:
        ids: list[str | None] = []
        for message in messages:
            known = message.metadata.dst_node_id in self.nodes
            key = f"request-{len(ids)}" if known else None
            message.metadata.__dict__["_message_id"] = key or ""
            if key:
                self.sent[key] = message
            ids.append(key)
        return ids

    def pull_messages(self, ids: list[str]) -> list[Message]:
        self.asked_for.append(list(ids))
        found = [reply for reply in self.ready if reply.metadata.reply_to_message_id in ids]
        self.ready = [reply for reply in self.ready if reply not in found]
        return found

    def answer(self, key: str) -> None:
        self.ready.append(Message(RecordDict(), reply_to=self.sent[key]))


@pytest.fixture
def clock(bench: "Bench") -> "FakeClock":
    """Time that passes by sleeping alone."""
    return bench.clock


def happens(clock: "FakeClock", *events: Callable[[], None]) -> None:
    """Have the events happen one after the other, one after every sleep."""
    waiting = list(events)
    clock.on_sleep = lambda: waiting.pop(0)() if waiting else None


def requests(bench: "Bench", *nodes: int) -> list[Message]:
    return [Message(RecordDict(), node, "train") for node in nodes]


def test_replies_come_one_by_one_as_they_are_there(bench: "Bench", clock: "FakeClock") -> None:
    grid = SlowGrid([1, 2])
    heard: list[Message] = []
    happens(clock, lambda: grid.answer("request-1"), lambda: None, lambda: grid.answer("request-0"))
    replies = exchange(grid, requests(bench, 1, 2), 60.0, heard.append, clock=clock)  # type: ignore[arg-type]
    assert grid.sent == {}
    first = next(replies)
    assert first.metadata.reply_to_message_id == "request-1"
    assert (heard, len(clock.slept)) == ([first], 1)
    (second,) = replies
    assert second.metadata.reply_to_message_id == "request-0"
    assert (heard, len(clock.slept)) == ([first, second], 3)
    assert grid.asked_for[-1] == ["request-0"]


def test_looks_are_close_as_a_round_begins_and_half_a_second_apart_in_a_long_one(
    bench: "Bench", clock: "FakeClock"
) -> None:
    assert list(exchange(SlowGrid([1]), requests(bench, 1), 100.0, clock=clock)) == []  # type: ignore[arg-type]
    assert clock.slept[0] == QUICK_S
    assert max(clock.slept) == POLL_S
    assert clock.slept[:-1] == sorted(clock.slept[:-1])
    assert clock.now == pytest.approx(100.0)
    assert len(clock.slept) < 400


def test_nobody_is_waited_for_beyond_the_deadline(bench: "Bench", clock: "FakeClock") -> None:
    grid = SlowGrid([1, 2])
    happens(clock, lambda: grid.answer("request-0"))
    (reply,) = exchange(grid, requests(bench, 1, 2), 1.2, None, clock=clock)  # type: ignore[arg-type]
    assert reply.metadata.reply_to_message_id == "request-0"
    assert clock.now == pytest.approx(1.2)


def test_what_is_there_when_a_slow_reader_asks_again_counts_after_the_deadline_too(
    bench: "Bench", clock: "FakeClock"
) -> None:
    grid = SlowGrid([1, 2])
    happens(clock, lambda: grid.answer("request-0"))
    replies = exchange(grid, requests(bench, 1, 2), 60.0, clock=clock)  # type: ignore[arg-type]
    next(replies)
    clock.now = 90.0
    grid.answer("request-1")
    (late,) = replies
    assert late.metadata.reply_to_message_id == "request-1"


def test_what_flower_does_not_take_is_not_waited_for(bench: "Bench", clock: "FakeClock") -> None:
    grid = SlowGrid([1])
    happens(clock, lambda: grid.answer("request-0"))
    (reply,) = exchange(grid, requests(bench, 1, 9), 60.0, clock=clock)  # type: ignore[arg-type]
    assert reply.metadata.reply_to_message_id == "request-0"
    assert len(clock.slept) == 1
    assert list(exchange(SlowGrid([]), requests(bench, 9), 60.0, clock=clock)) == []  # type: ignore[arg-type]


def test_an_error_is_a_reply(bench: "Bench", clock: "FakeClock") -> None:
    grid = SlowGrid([1])

    def fail() -> None:
        grid.ready.append(Message(Error(3, "gone"), reply_to=grid.sent["request-0"]))

    happens(clock, fail)
    (reply,) = exchange(grid, requests(bench, 1), 60.0, clock=clock)  # type: ignore[arg-type]
    assert reply.has_error()


def test_no_requests_are_no_replies(clock: "FakeClock") -> None:
    assert list(exchange(SlowGrid([1]), [], 60.0, clock=clock)) == []  # type: ignore[arg-type]
    assert clock.slept == []
