"""HTTP requests and answers that a recorder wrote, and Flower's messages in them."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flwr.app import Metadata, RecordDict
from flwr.common.serde_utils import metadata_from_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import ObjectTree, PullObjectResponse, PushObjectRequest
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents


@dataclass(frozen=True)
class Part:
    """One request or answer of HTTP/1.1.

    Attributes:
        head: its first line and its headers, as sent.
        body: without chunks and compression.
    """

    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        """Path of a request."""
        return self.head.split(b" ", 2)[1].decode()


def parts(stream: bytes) -> list[Part]:
    """All requests, or all answers, of a connection.

    Raises:
        ValueError: if anything is left over, or is not understood: a search that skips bytes proves nothing.
    """
    found = []
    while stream:
        head, blank, rest = stream.partition(b"\r\n\r\n")
        if not blank or b"HTTP/1.1" not in head.split(b"\r\n")[0]:
            raise ValueError("this is not HTTP/1.1")
        headers = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        if headers.get(b"transfer-encoding") == b"chunked":
            body, stream = _chunked(rest)
        else:
            length = int(headers.get(b"content-length", b"0"))
            body, stream = rest[:length], rest[length:]
            if len(body) < length:
                raise ValueError("the last body is cut off")
        found.append(Part(head, _decoded(body, headers.get(b"content-encoding", b"identity"))))
    return found


def _chunked(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        body, rest = body + rest[:length], rest[length:]
        if not rest.startswith(b"\r\n"):
            raise ValueError("a chunk is cut off, or trailers follow")
        rest = rest[2:]
        if not length:
            return body, rest


def _decoded(body: bytes, coding: bytes) -> bytes:
    if coding == b"identity":
        return body
    if coding in (b"gzip", b"deflate"):
        return zlib.decompress(body, 47)
    raise ValueError(f"the coding {coding!r} is not understood")


@dataclass(frozen=True)
class Pushed:
    """A message of Flower as it left.

    Attributes:
        metadata: its own.
        error: Flower's code and text in place of content.
        ids: of the content's objects; empty for an error.
        root: the id of the whole content.
        size: of the content in bytes.
        content: as the coordinator reads it.
    """

    metadata: Metadata
    error: tuple[int, str] | None
    ids: frozenset[str]
    root: str
    size: int
    content: RecordDict


def objects(bodies: Iterable[bytes]) -> dict[str, bytes]:
    """Object id -> content: an id is its content's SHA-256."""
    return {hashlib.sha256(content).hexdigest(): content for content in bodies}


def pushed_objects(sent: Iterable[Part]) -> dict[str, bytes]:
    """The objects that left."""
    bodies = [part.body for part in sent if part.path == "/v1/fleet/push-object"]
    return objects(PushObjectRequest.FromString(body).object_content for body in bodies)


def pulled_objects(received: Iterable[Part]) -> dict[str, bytes]:
    """Objects that came in; an object that the coordinator has is not sent to it again."""
    return objects(_pulled(part.body) for part in received)


def _pulled(body: bytes) -> bytes:
    try:
        return bytes(PullObjectResponse.FromString(body).object_content)
    except Exception:  # an answer of another kind
        return b""


def pushed_messages(sent: Iterable[Part], known: dict[str, bytes]) -> Iterator[Pushed]:
    """The messages that left; `known` are the objects they are made of."""
    for part in sent:
        if part.path != "/v1/fleet/push-messages":
            continue
        request = PushMessagesRequest.FromString(part.body)
        for message, tree in zip(request.messages_list, request.message_object_trees, strict=True):
            error = (message.error.code, message.error.reason) if message.HasField("error") else None
            yield _pushed(metadata_from_proto(message.metadata), error, tree, known)


def _pushed(
    metadata: Metadata, error: tuple[int, str] | None, tree: ObjectTree, known: dict[str, bytes]
) -> Pushed:
    if not tree.children:
        empty = RecordDict()
        return Pushed(metadata, error, frozenset(), empty.object_id, len(empty.deflate()), empty)
    (top,) = tree.children
    ids = frozenset(each.object_id for each in iterate_object_tree(top))
    size = sum(len(known[each]) for each in ids)
    content = inflate_object_from_contents(top.object_id, dict(known))
    assert isinstance(content, RecordDict)
    return Pushed(metadata, error, ids, top.object_id, size, content)
