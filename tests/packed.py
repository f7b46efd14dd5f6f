"""The arrays of a message that is a record already."""

from collections.abc import Iterator
from contextlib import contextmanager

from flwr.app import Array, ArrayRecord, RecordDict

from common.messages.exchange import PACKED
from common.messages.packing import Arrays, pack, unpack


def arrays_of(content: RecordDict) -> dict[str, Arrays]:
    """Field of the message -> its arrays, copied."""
    manifest = content.config_records["header"]["manifest"]
    assert isinstance(manifest, bytes)
    return unpack(content.array_records[PACKED][PACKED].numpy(), manifest)


@contextmanager
def changing(content: RecordDict) -> Iterator[dict[str, Arrays]]:
    """The arrays of a record, which holds them as they are when the context ends."""
    groups = arrays_of(content)
    yield groups
    flat, manifest = pack(groups)
    content[PACKED] = ArrayRecord({PACKED: Array(flat)})
    content.config_records["header"]["manifest"] = manifest
