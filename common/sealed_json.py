"""JSON objects with a seal: the SHA-256 of their bytes, as their first key.

A reader refuses a sealed file of which any byte differs. A seal shows damage and a change by hand; it is no signature.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BEFORE, _AFTER, _LENGTH = b'{"seal":"', b'",', 64


class BrokenSealError(ValueError):
    """Content that has no seal, or another than its own."""


def sealed(content: bytes) -> bytes:
    """Return a JSON object, which has a key at least, with its seal."""
    return _BEFORE + hashlib.sha256(content).hexdigest().encode() + _AFTER + content.removeprefix(b"{")


def unsealed(content: bytes) -> bytes:
    """Return the JSON object that was sealed.

    Raises:
        BrokenSealError: if any byte differs.
    """
    inside = b"{" + content[len(_BEFORE) + _LENGTH + len(_AFTER) :]
    if sealed(inside) != content:
        raise BrokenSealError("the content is not what was sealed")
    return inside


def digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files by their path in a folder.

    Raises:
        OSError: if a file cannot be read.
    """
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
