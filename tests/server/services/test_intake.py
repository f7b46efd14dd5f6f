"""Replies that the SuperLink takes from a hospital: its own, and no more than a run can need."""

import importlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import HTTPException
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.server.superlink.linkstate.linkstate_factory import LinkStateFactory
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store.object_store_factory import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager

from common.agreement.federation import FILE_NAME, Federation, save
from common.assessment.part import questions_of
from server.home.places import HOME_VARIABLE, create_home
from server.services.intake import ALLOWANCE, BESIDE_ROUNDS, HANDLERS, REPLACED, Intake, write_allowance
from simulations.engines.flower_internals import acting_as, acting_as_coordinator, name_message, new_run

RUN = "20261121-101500"
LARGEST = 100_000


@dataclass
class Link:
    """A SuperLink's state with a run and two nodes, and the check in front of it."""

    state: Any
    intake: Intake
    run: int
    node: int
    other: int
    allowed: int

    def announce(self, reply: Message, **changes: Any) -> Any:
        """Announce a reply, with changes to what its header says."""
        header = message_to_proto(remove_content_from_message(reply))
        for name, value in changes.items():
            setattr(header.metadata, name, value)
        request = PushMessagesRequest(
            node=Node(node_id=self.node),
            messages_list=[header],
            message_object_trees=[get_object_tree(reply)],
            clientapp_runtime_list=[1.0],
        )
        return self.intake.push_messages(request, self.state)

    def push(self, reply: Message) -> int:
        """Push a reply whole, and return how many bytes of parts were kept."""
        answer = self.announce(reply)
        kept = 0
        for name, part in get_all_nested_objects(reply).items():
            content = part.deflate()
            request = PushObjectRequest(
                node=Node(node_id=self.node),
                run_id=self.run,
                session_id=answer.session_id,
                object_id=name,
                object_content=content,
            )
            kept += len(content) * self.intake.push_object(request, self.state).stored
        return kept

    def asked(self, node: int) -> Message:
        """Put a request of the run to a node."""
        with acting_as_coordinator(new_run({}, self.run)):
            message = Message(RecordDict({"n": ConfigRecord({"n": 1})}), node, "train")
        name_message(message, message.object_id)
        stored, _ = self.state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), self.state.start_session(self.run)
        )
        assert stored
        return message

    def reply(self, size: int) -> Message:
        """Answer a request to the node with so many bytes, of which no two parts are equal."""
        asked = self.asked(self.node)
        values = np.random.default_rng().integers(0, 256, size, np.uint8)
        with acting_as(self.run, self.node, 7):
            message = Message(RecordDict({"a": ArrayRecord({"a": Array(values)})}), reply_to=asked)
        name_message(message, message.object_id)
        return message

    def waiting(self, node: int) -> int:
        """Count the requests that a node would be given."""
        return len(self.state.get_message_ins(node_id=node, limit=None))


@pytest.fixture
def link(tmp_path: Path, make_federation: Callable[..., Federation]) -> Link:
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    out = home.runs / RUN
    out.mkdir()
    federation = make_federation()
    save(federation, out / FILE_NAME)
    write_allowance(out, LARGEST)
    allowed = int((out / ALLOWANCE).read_text())
    replies = federation.training.rounds + len(questions_of(federation)) + BESIDE_ROUNDS
    assert allowed == replies * LARGEST
    database = str(tmp_path / "superlink.db")
    store = ObjectStoreFactory(database)
    state = LinkStateFactory(database, NoOpFederationManager(), store).state()
    run = state.create_run("a/b", "1", "h", {"run": RUN}, NOOP_FEDERATION_ID, None, None, TaskType.SERVER_APP)
    task = state.get_run_info(run_ids=[run])[0].primary_task_id
    assert task is not None
    assert state.claim_task(task)
    assert state.activate_task(task)
    node, other = (state.create_node("a", "a", f"key {number}".encode(), 0) for number in range(2))
    for one in (node, other):
        assert state.activate_node(one, 30)
    handlers = importlib.import_module(HANDLERS)
    intake = Intake(handlers.push_messages, handlers.push_object, {HOME_VARIABLE: str(home.folder)})
    return Link(state, intake, run, node, other, allowed)


def test_a_replaced_function_has_its_parameters_and_is_looked_up_when_it_is_called() -> None:
    handlers = importlib.import_module(HANDLERS)
    router = importlib.import_module("flwr.superlink.routers.fleet.router")
    assert router.fleet_handlers is handlers
    for name, parameters in REPLACED.items():
        assert tuple(inspect.signature(getattr(handlers, name)).parameters) == parameters
        assert f"fleet_handlers.{name}(" in inspect.getsource(router)


def test_an_honest_reply_is_taken_whole_and_may_be_sent_again(link: Link) -> None:
    reply = link.reply(LARGEST // 2)
    assert link.push(reply) > LARGEST // 2
    assert link.push(reply) == 0, "all of it is there"
    (got,) = link.state.get_message_res({reply.metadata.reply_to_message_id}, link.run)
    assert got.metadata.src_node_id == link.node


def test_what_is_not_kept_does_not_count(link: Link) -> None:
    reply = link.reply(LARGEST)
    for _ in range(3 * link.allowed // LARGEST):
        link.push(reply)


def test_no_request_is_taken_in_the_name_of_the_superlink(link: Link) -> None:
    """Flower's own function would put it to the other hospital, which takes it for the coordinator's."""
    with acting_as_coordinator(new_run({}, link.run)):
        forged = Message(RecordDict({"n": ConfigRecord({"n": 2})}), link.other, "train")
    name_message(forged, forged.object_id)
    request = PushMessagesRequest(
        node=Node(node_id=link.node),
        messages_list=[message_to_proto(remove_content_from_message(forged))],
        message_object_trees=[get_object_tree(forged)],
    )
    with pytest.raises(HTTPException) as refused:
        link.intake.push_messages(request, link.state)
    assert refused.value.status_code == 400
    assert link.waiting(link.other) == 0
    importlib.import_module(HANDLERS).push_messages(request, link.state)
    assert link.waiting(link.other) == 1, "what the check is for"


def test_no_reply_is_taken_in_the_name_of_another_hospital(link: Link) -> None:
    reply = link.reply(10)
    for changes in ({"src_node_id": link.other}, {"reply_to_message_id": ""}):
        with pytest.raises(HTTPException):
            link.announce(reply, **changes)
    assert link.state.get_message_res({reply.metadata.reply_to_message_id}, link.run) == []


def test_a_node_pushes_no_more_than_the_replies_of_a_run_can_need(link: Link) -> None:
    with pytest.raises(HTTPException) as refused:
        link.push(link.reply(2 * link.allowed))
    assert refused.value.status_code == 413
    kept, replies = 0, (link.reply(LARGEST) for _ in range(2 * link.allowed // LARGEST))
    with suppress(HTTPException):
        for reply in replies:
            kept += link.push(reply)
    assert link.allowed // 2 < kept <= link.allowed
    assert next(replies, None) is not None, "it came to an end"


def test_announcements_alone_come_to_an_end(link: Link) -> None:
    reply = link.reply(10)
    announced = 0
    with suppress(HTTPException):
        while announced < link.allowed // 1000:
            link.announce(reply)
            announced += 1
    assert 10 < announced < link.allowed // 1000


def test_a_run_that_has_asked_nothing_takes_nothing(link: Link, tmp_path: Path) -> None:
    (tmp_path / "home" / "runs" / RUN / ALLOWANCE).unlink()
    with pytest.raises(HTTPException) as refused:
        link.push(link.reply(10))
    assert refused.value.status_code == 400
