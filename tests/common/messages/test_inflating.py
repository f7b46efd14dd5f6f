"""Bytes that a message takes, counted before it is made whole."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.task_identity import TaskIdentity

from common.messages.inflating import (
    DESCRIPTIONS,
    ROOM,
    TooLargeError,
    inflate_within,
    largest_message,
    pull_within,
    without_content,
)
from tests.attacks.attack_table import AttackRow

PART = 5 << 20
"""Bytes in which Flower cuts an array."""


@pytest.fixture(autouse=True)
def _node() -> Iterator[None]:
    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = 5, 1, 9
    yield
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before


def message(size: int, *, alike: bool = True, header: bytes = b"x") -> tuple[str, dict[str, bytes]]:
    """(name, objects) of a message with an array of so many bytes."""
    values = np.zeros(size, np.uint8)
    if not alike:
        values[::PART] = np.arange(len(values[::PART])) + 1
    records: dict[str, Any] = {
        "header": ConfigRecord({"message": "TrainReply", "manifest": header}),
        "arrays": ArrayRecord({"arrays": Array(values)}),
    }
    made = Message(RecordDict(records), dst_node_id=41, message_type="train")
    objects = {key: part.deflate() for key, part in get_all_nested_objects(made).items()}
    return made.object_id, objects


def test_a_message_within_its_bound_comes_whole() -> None:
    name, objects = message(12 << 20, alike=False)
    pulled = pull_within(objects, objects.__getitem__, 13 << 20)
    assert pulled == objects
    whole = inflate_within(name, pulled, 13 << 20)
    assert whole.content["header"] == ConfigRecord({"message": "TrainReply", "manifest": b"x"})
    array = whole.content["arrays"]
    assert isinstance(array, ArrayRecord)
    assert array["arrays"].numpy().size == 12 << 20


def test_parts_that_are_alike_count_as_often_as_they_are_used() -> None:
    name, objects = message(100 << 20)
    assert sum(map(len, objects.values())) < 11 << 20, "they travel once"
    with pytest.raises(TooLargeError):
        inflate_within(name, dict(objects), (100 << 20) - 1)
    assert inflate_within(name, dict(objects), 101 << 20).has_content()


def test_no_more_is_pulled_than_is_allowed() -> None:
    _, objects = message(60 << 20, alike=False)
    asked: list[str] = []

    def pull(name: str) -> bytes:
        asked.append(name)
        return objects[name]

    with pytest.raises(TooLargeError):
        pull_within(objects, pull, 20 << 20)
    assert sum(len(objects[name]) for name in asked) <= (20 << 20) + 2 * (PART + 1000)


def test_an_object_is_pulled_once_however_often_it_is_named() -> None:
    name, objects = message(10)
    asked: list[str] = []

    def pull(named: str) -> bytes:
        asked.append(named)
        return objects[named]

    pull_within([*objects, *objects, name], pull, 1 << 20)
    assert sorted(asked) == sorted(objects)


def test_descriptions_are_bounded_whatever_the_model() -> None:
    """Parsed, they can take a hundred times their bytes."""
    name, objects = message(10, header=bytes(DESCRIPTIONS))
    with pytest.raises(TooLargeError):
        inflate_within(name, objects, 1 << 40)


def test_what_is_no_message_is_an_error() -> None:
    name, objects = message(10)
    (other,) = (key for key, content in objects.items() if content.startswith(b"RecordDict"))
    with pytest.raises(TypeError):
        inflate_within(other, dict(objects), 1 << 20)
    with pytest.raises(KeyError):
        inflate_within(name, {name: objects[name]}, 1 << 20)


def test_a_message_can_be_read_without_its_content() -> None:
    name, objects = message(10)
    read = without_content(objects[name])
    assert (read.metadata.dst_node_id, read.metadata.message_type) == (41, "train")
    assert list(read.content) == []
    request = without_content(objects[name])
    error = Message(Error(7, "no"), reply_to=request)
    assert without_content(error.deflate()).error.code == 7


def test_the_bound_follows_the_model() -> None:
    assert largest_message({}) == ROOM
    assert largest_message({"a": (10, 20), "b": ()}) == ROOM + 8 * 201


@pytest.mark.attack
def test_a_bomb_of_equal_parts_costs_no_memory(attack_row: AttackRow) -> None:
    """An own process, as the most memory that one ever had cannot be set back."""
    ended = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    grown = int(ended.stdout)
    attack_row("message of 2,500 MB in equal parts", "no growth (< 20 MB)", f"{grown / 1e6:.1f} MB")
    assert grown < 20e6


def bomb(size: int) -> tuple[str, dict[str, bytes]]:
    """The objects of a message whose array has so many equal parts, without ever making it."""
    name, objects = message(2 * PART)
    (array,) = (content for content in objects.values() if content.startswith(b"Array "))
    (first,) = (key for key, content in objects.items() if content == array)
    head, _, body = array.partition(b"\x00")
    described = json.loads(body)
    described["arraychunk_ids"] = [0] + [1] * size
    body = json.dumps(described).encode()
    kind, children, _ = head.split(b" ")
    objects[first] = b" ".join([kind, children, str(len(body)).encode()]) + b"\x00" + body
    return name, objects


def main() -> None:
    """Print by how many bytes a bomb makes this process larger."""
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = 5, 1, 9
    name, objects = bomb(500)
    inflate_within(*message(10), 1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        inflate_within(name, objects, 100 << 20)
    except TooLargeError:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)


if __name__ == "__main__":
    main()
