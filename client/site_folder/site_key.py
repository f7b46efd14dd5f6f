"""Secret key of a site, for marks of patients and noise that a question always gets again."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from common.errors import IntegrityError
from common.files import read_private, write_whole

KEY = Path("records") / "disclosures.key"
"""File in a site folder. Without it the hospital's record of disclosures cannot be read."""
SIZE = 32
"""Bytes of the key."""
NO_SECRET = b"simulation"
"""Key of a simulated site, whose numbers the same person can see in full."""
MARK = 16
"""Bytes of the mark of a patient."""


def read_or_make_key(site: Path) -> bytes:
    """Return the key of a site folder; the first call draws it.

    Raises:
        IntegrityError: if the file is not the key that was written, or others can read it.
        OSError: if it cannot be read or written.
    """
    path = site / KEY
    if not path.exists():
        write_whole(path, os.urandom(SIZE), 0o600)
    return read_key(site)


def read_key(site: Path) -> bytes:
    """Return the key of a site folder, or `NO_SECRET` where there is none yet.

    Raises:
        IntegrityError: if the file is not the key that was written, or others can read it.
        OSError: if it cannot be read.
    """
    path = site / KEY
    if not path.exists():
        return NO_SECRET
    key = read_private(path)
    if key is None or len(key) != SIZE:
        what, remedy = "is not the site's key, or others can read it", "put it back, with mode 600"
        raise IntegrityError(str(path), what, remedy)
    return key


def marks_of(identifiers: Iterable[object], key: bytes) -> bytes:
    """Return a mark of `MARK` bytes per identifier, which says nothing without the key."""
    return b"".join(
        hashlib.blake2b(str(identifier).encode(), key=key, digest_size=MARK).digest()
        for identifier in identifiers
    )
