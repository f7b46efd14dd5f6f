"""Replies of hospitals that would be too much, or that claim to be another's."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import PullObjectResponse
from flwr.proto.runtime_pb2 import PullAppMessagesResponse
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid

from common.messages.exchange import TrainReply
from common.messages.inflating import ROOM
from server.aggregation.replies import UnusableReplyError, read
from server.records.dropped import DropReason
from server.services.grid import BoundedGrid

EAST, WEST = 41, 19


class SuperLink:
    """Holds replies as a SuperLink does, what it knows of them apart from what is in them."""

    def __init__(self) -> None:
        self.headers: list[Any] = []
        self.trees: list[Any] = []
        self.objects: dict[str, bytes] = {}
        self.confirmed: list[str] = []
        self.pulled: list[str] = []
        self.missing: set[str] = set()
        self.given: set[str] = set()

    def hold(self, reply: Message, forged: Message | None = None) -> None:
        """Hold a reply; its objects are those of another if it is forged."""
        reply.metadata.__dict__["_message_id"] = (forged or reply).object_id
        self.headers.append(message_to_proto(remove_content_from_message(reply)))
        self.trees.append(get_object_tree(forged or reply))
        parts = get_all_nested_objects(forged or reply)
        self.objects |= {name: part.deflate() for name, part in parts.items()}

    def PullMessages(self, request: Any) -> PullAppMessagesResponse:
        """Give each reply once; for a request that was answered, tell that nothing is known of it."""
        for name in self.given & set(request.message_ids):
            lost = Message(Error(3, "unknown"), reply_to=named(name, EAST))
            self.hold(lost)
        answer = PullAppMessagesResponse(messages_list=self.headers, message_object_trees=self.trees)
        self.given |= {header.metadata.reply_to_message_id for header in self.headers}
        self.headers, self.trees = [], []
        return answer

    def PullObject(self, request: Any) -> PullObjectResponse:
        self.pulled.append(request.object_id)
        content = self.objects.get(request.object_id)
        return PullObjectResponse(
            object_found=content is not None,
            object_available=request.object_id not in self.missing,
            object_content=content or b"",
        )

    def ConfirmMessageReceived(self, request: Any) -> None:
        self.confirmed.append(request.message_object_id)


@pytest.fixture(autouse=True)
def _coordinator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskIdentity, "_run_id", 5)
    monkeypatch.setattr(TaskIdentity, "_node_id", 1)
    monkeypatch.setattr(TaskIdentity, "_task_id", 9)


@pytest.fixture
def superlink() -> SuperLink:
    return SuperLink()


@pytest.fixture
def grid(superlink: SuperLink) -> BoundedGrid:
    grid = BoundedGrid("127.0.0.1:9", False, b"", token="t")
    grid.set_run(Run.create_empty(5))
    grid._client = superlink  # type: ignore[assignment]
    return grid


def named(name: str, node: int) -> Message:
    """A request under this name."""
    asked = Message(RecordDict({"n": ConfigRecord({"n": 1})}), dst_node_id=node, message_type="train")
    asked.metadata.__dict__["_message_id"] = name
    return asked


def request(node: int, number: int = 1) -> Message:
    return named(f"request {node} {number}", node)


def answered(asked: Message, content: RecordDict | None = None, error: Error | None = None) -> Message:
    if error is not None:
        return Message(error, reply_to=asked)
    default = RecordDict({"header": ConfigRecord({"message": "TrainReply"})})
    return Message(default if content is None else content, reply_to=asked)


def arrays(size: int) -> RecordDict:
    return RecordDict({"arrays": ArrayRecord({"arrays": Array(np.zeros(size, np.uint8))})})


def pulled(grid: BoundedGrid, *asked: Message) -> list[Message]:
    return grid.pull_messages([one.metadata.message_id for one in asked])


def test_the_names_of_flower_that_it_uses_are_there() -> None:
    used = inspect.getsource(HttpGrid.pull_messages)
    for name in ("self._runtime_client.PullMessages(", "self._run", "self.node", "ConfirmMessageReceived("):
        assert name in used
    assert isinstance(inspect.getattr_static(HttpGrid, "run"), property)


def test_an_honest_reply_comes_as_it_was_sent(grid: BoundedGrid, superlink: SuperLink) -> None:
    asked = request(EAST)
    superlink.hold(answered(asked, arrays(1000)))
    (reply,) = pulled(grid, asked)
    assert reply.metadata.src_node_id == EAST
    assert reply.metadata.reply_to_message_id == asked.metadata.message_id
    assert reply.content.object_id == arrays(1000).object_id
    assert superlink.confirmed == [reply.metadata.message_id]


@pytest.mark.attack
def test_a_reply_that_is_too_large_is_dropped_and_the_others_stand(
    grid: BoundedGrid, superlink: SuperLink
) -> None:
    east, west = request(EAST), request(WEST)
    superlink.hold(answered(east, arrays(ROOM + 1)))
    superlink.hold(answered(west, arrays(1000)))
    large, small = pulled(grid, east, west)
    with pytest.raises(UnusableReplyError) as dropped:
        read(TrainReply.from_record, large)
    assert dropped.value.reason == DropReason.INVALID_MESSAGE
    assert large.metadata.src_node_id == EAST
    assert small.content.object_id == arrays(1000).object_id
    assert len(superlink.confirmed) == 2, "the SuperLink forgets what was dropped as well"
    grid.allowed = 2 * ROOM
    again = request(EAST, 2)
    superlink.hold(answered(again, arrays(ROOM + 1)))
    assert pulled(grid, again)[0].content.object_id == arrays(ROOM + 1).object_id


def spoilt(change: Callable[[bytes], bytes]) -> Callable[[SuperLink], None]:
    def spoil(superlink: SuperLink) -> None:
        (name,) = (name for name, content in superlink.objects.items() if content.startswith(b"Array "))
        superlink.objects[name] = change(superlink.objects[name])

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        spoilt(lambda content: content[:-5]),
        spoilt(lambda content: b""),
        spoilt(lambda content: content.replace(b"[0]", b"[7]")),
        spoilt(lambda content: content.replace(b"[0]", b'["a"]')),
        spoilt(lambda content: content.replace(b"Array ", b"Array2 ")),
    ],
)
def test_a_reply_that_cannot_be_read_does_not_end_the_run(
    grid: BoundedGrid, superlink: SuperLink, spoil: Callable[[SuperLink], None]
) -> None:
    asked = request(EAST)
    superlink.hold(answered(asked, arrays(1000)))
    spoil(superlink)
    (reply,) = pulled(grid, asked)
    assert list(reply.content) == []


@pytest.mark.attack
def test_a_reply_is_of_the_node_that_the_superlink_has_it_from(
    grid: BoundedGrid, superlink: SuperLink
) -> None:
    """Otherwise a hospital could answer in the name of another, or have its answer dropped as repeated."""
    east, west = request(EAST), request(WEST)
    superlink.hold(answered(east), forged=answered(west, arrays(10)))
    (reply,) = pulled(grid, east, west)
    assert reply.metadata.src_node_id == EAST
    assert reply.metadata.reply_to_message_id == east.metadata.message_id


def test_two_replies_to_a_request_are_seen_and_no_more_are_pulled(
    grid: BoundedGrid, superlink: SuperLink
) -> None:
    asked = request(EAST)
    for size in range(5):
        superlink.hold(answered(asked, arrays(1000 + size)))
    assert len(pulled(grid, asked)) == 2


@pytest.mark.attack
@pytest.mark.parametrize("first", [True, False], ids=["first object", "last object"])
def test_a_reply_that_was_announced_and_is_not_sent_keeps_nobody_waiting(
    grid: BoundedGrid, superlink: SuperLink, first: bool
) -> None:
    """Flower would ask for it some hundred times, and for no other reply meanwhile."""
    slow, quick = request(EAST), request(WEST)
    superlink.hold(answered(slow, arrays(1000)))
    superlink.missing = {[*superlink.objects][-1 if first else 0]}
    superlink.hold(answered(quick, arrays(10)))
    assert [one.metadata.src_node_id for one in pulled(grid, slow, quick)] == [WEST]
    assert pulled(grid, slow) == []
    superlink.missing = set()
    assert [one.content.object_id for one in pulled(grid, slow)] == [arrays(1000).object_id]


def test_a_reply_that_comes_too_late_for_its_round_is_not_of_the_next(
    grid: BoundedGrid, superlink: SuperLink
) -> None:
    slow, following = request(EAST), request(EAST, 2)
    superlink.hold(answered(slow, arrays(1000)))
    superlink.missing = {next(iter(superlink.objects))}
    assert pulled(grid, slow) == []
    superlink.missing = set()
    superlink.hold(answered(following, arrays(10)))
    (reply,) = pulled(grid, following)
    assert reply.metadata.reply_to_message_id == following.metadata.message_id


def test_errors_are_passed_on(grid: BoundedGrid, superlink: SuperLink) -> None:
    asked, other = request(EAST), request(WEST)
    superlink.hold(answered(asked, error=Error(8, "it ended")))
    superlink.hold(answered(other, arrays(10)))
    superlink.objects = {
        name: content for name, content in superlink.objects.items() if not content.startswith(b"ArrayChunk")
    }
    ended, missing = pulled(grid, asked, other)
    assert (ended.metadata.src_node_id, ended.error.code) == (EAST, 8)
    assert (missing.metadata.src_node_id, missing.error.code) == (WEST, ErrorCode.MESSAGE_UNAVAILABLE)
