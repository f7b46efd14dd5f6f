"""Bounds of the memory that a message may take, held before Flower makes it whole.

Flower names the parts of a message by their content: an array of a thousand equal parts travels as one, and is a
thousand times as large at the receiver. The agreement says how large the model is, and so what a message can need.
"""

import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flwr.app import Array, Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import (
    get_object_body,
    get_object_head_values_from_object_content,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectUnavailableError,
    inflate_object_from_contents,
    pull_objects,
)

ROOM = 8 << 20
"""Bytes of a message beside the weights: sums, preprocessing and names."""


DESCRIPTIONS = 1 << 20
"""Most bytes of a message that are not values of arrays: parsed, they can take a hundred times as much."""


BYTES_PER_WEIGHT = 8


class TooLargeError(Exception):
    """Message that takes more memory than the agreement allows."""


class NotWholeError(Exception):
    """Message of which not every object has come yet."""


def largest_message(weights: Mapping[str, tuple[int, ...]]) -> int:
    """Most bytes of a message about a model with parameters of these shapes."""
    return ROOM + BYTES_PER_WEIGHT * sum(math.prod(shape) for shape in weights.values())


def pull_within(
    object_ids: Iterable[str], pull: Callable[[str], bytes], allowed: int, wait: bool = True
) -> dict[str, bytes]:
    """Pull the objects of a message, as Flower's `pull_objects` does, as long as they fit.

    Args:
        object_ids: names of the objects.
        pull: returns an object.
        allowed: most bytes of all together.
        wait: whether to wait for objects that were announced and have not come.

    Raises:
        TooLargeError: if they have more; the rest is not pulled.
        NotWholeError: if an object has not come, without waiting.
    """
    pulled, lock = 0, threading.Lock()

    def counted(object_id: str) -> bytes:
        nonlocal pulled
        try:
            content = pull(object_id)
        except ObjectUnavailableError:
            if wait:
                raise
            raise NotWholeError from None
        with lock:
            pulled += len(content)
            if pulled > allowed:
                raise TooLargeError(f"a message has more than {allowed} bytes")
        return content

    return pull_objects(list(dict.fromkeys(object_ids)), counted)


def inflate_within(message_id: str, contents: dict[str, bytes], allowed: int) -> Message:
    """Make a message whole from its objects, which are used up.

    Raises:
        TooLargeError: if its arrays would take more than `allowed` bytes.
        Exception: if these are not the objects of a message.
    """
    arrays, described = [], 0
    for content in contents.values():
        kind, children, _ = get_object_head_values_from_object_content(content)
        if kind == Array.__qualname__:
            arrays.append((content, children))
        if children or kind != "ArrayChunk":
            described += len(content)
    if described > DESCRIPTIONS:
        raise TooLargeError(f"a message describes its content in more than {DESCRIPTIONS} bytes")
    whole = sum(_array_bytes(content, children, contents) for content, children in arrays)
    if whole > allowed:
        raise TooLargeError(f"a message of {allowed} bytes at the most would take {whole}")
    message = inflate_object_from_contents(message_id, contents)
    if not isinstance(message, Message):
        raise TypeError("the objects are not those of a message")
    return message


def without_content(content: bytes) -> Message:
    """Make a message from its first object alone, with nothing in it.

    Raises:
        Exception: if this is not the object of a message.
    """
    _, children, _ = get_object_head_values_from_object_content(content)
    if len(content) > DESCRIPTIONS:
        raise TooLargeError("the first object of a message is too large")
    message: Any = Message.inflate(content, {child: RecordDict() for child in children})
    assert isinstance(message, Message)
    return message


def _array_bytes(content: bytes, children: list[str], contents: Mapping[str, bytes]) -> int:
    parts = json.loads(get_object_body(content, Array))["arraychunk_ids"]
    return sum(len(contents[children[part]]) for part in parts)
