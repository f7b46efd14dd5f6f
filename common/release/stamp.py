"""Metadata of a safetensors file: federation file and release of its arrays.

The library writes several keys in any order. Here they are sorted, so that the same arrays give the same bytes.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load

_LENGTH = struct.Struct("<Q")


_METADATA, _ALIGNED = "__metadata__", 8


def stamped(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file's content with these metadata in place of any others."""
    header, data = _split(content)
    header.pop(_METADATA, None)
    text = json.dumps({_METADATA: dict(sorted(metadata.items())), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return _LENGTH.pack(len(text)) + text + data


def stamp_of(content: bytes) -> dict[str, str]:
    """Read the metadata of a safetensors file; empty without any."""
    metadata = _split(content)[0].get(_METADATA, {})
    return metadata if isinstance(metadata, dict) else {}


def arrays_of(content: bytes) -> dict[str, Any]:
    """Read the arrays of a safetensors file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        arrays: dict[str, Any] = load(content)
    except SafetensorError as error:
        raise ValueError("is no safetensors file") from error
    return arrays


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a file's header and its data, which begin behind it."""
    try:
        (size,) = _LENGTH.unpack_from(content)
        header = json.loads(content[_LENGTH.size : _LENGTH.size + size])
    except (struct.error, ValueError):
        raise ValueError("is no safetensors file") from None
    if not isinstance(header, dict):
        raise ValueError("is no safetensors file")
    return header, content[_LENGTH.size + size :]
