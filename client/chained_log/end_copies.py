"""Copies of a log's end, one of them outside the site folder.

A hash chain shows that an entry was changed, but not that the latest ones are gone: a log that was put back from an
older copy is sound in itself. A copy of the end holds the number of entries and the last hash. The copy outside is
filed by the node key, not by a path: the same log at another path is held against the same copy, and a log whose key
has no copy here, as for another user or on another machine, is confirmed by nothing. Whoever can rewrite the log and
every copy can rewrite history; nobody else can unnoticed.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from client.site_folder.outside import state_folder
from common.files import write_whole

Copy = TypeVar("Copy", bound=BaseModel)


_CONTINUED = "continued_as"
"""Key of a file that stands in place of a replaced node key's copy, and names the new key's."""


def outside_path(kind: str, log: Path, key: str | None) -> Path:
    """Find the path of the copy outside the site folder, named by a hash of the node key.

    A copy that was filed by the log's path, as before a site has a key or by an earlier version, is filed anew: it
    still says what the log must contain.

    Args:
        kind: folder of all logs of a kind.
        log: file or folder that the copy belongs to.
        key: fingerprint of the node key; None without one, and the copy is filed by the log's path.

    Raises:
        OSError: if there is no home folder to fall back on, or the state folder cannot be read or written.
    """
    folder = state_folder() / kind
    by_path = folder / _name(os.fsencode(log.resolve()))
    if key is None:
        return by_path
    path = _continued(folder / _name(key.encode()))
    if by_path.exists() and not path.exists():
        with suppress(FileNotFoundError):  # another process was first
            by_path.rename(path)
    return path


def carry_over(old: str, new: str) -> None:
    """File all copies of a node key by the key that replaces it.

    The old key's copies then refer to the new key's: an older site folder, put back with its old key, is held against
    what was written since. It may be killed at any step, and repeated with another new key.

    Args:
        old: fingerprint of the key that is replaced, which may still be in use if the change was interrupted.
        new: fingerprint of a key that was never used.

    Raises:
        OSError: if a copy cannot be read or written.
    """
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob(f"*/{_name(old.encode())}")):
        current, target = _continued(path), path.with_name(_name(new.encode()))
        if current.exists():
            write_whole(target, current.read_bytes(), current.stat().st_mode & 0o777)
            write_whole(current, json.dumps({_CONTINUED: target.name}).encode(), 0o600)


def read_copy(path: Path, kind: type[Copy]) -> Copy | None:
    """Read a copy of the end; None if there is none.

    Raises:
        OSError: if it cannot be read.
        ValidationError: if it is not a copy of an end.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def write_copy(path: Path, copy: BaseModel, mode: int = 0o644) -> None:
    """Write a copy of the end, whole and durably.

    Args:
        path: the copy.
        copy: the end.
        mode: permissions.

    Raises:
        OSError: if it cannot be written; an older copy is then still there.
    """
    write_whole(path, copy.model_dump_json().encode(), mode)


def _name(owner: bytes) -> str:
    return f"{hashlib.sha256(owner).hexdigest()}.json"


def _continued(path: Path) -> Path:
    """Follow a replaced key's copy to the copy in use."""
    seen = {path}
    while (name := _successor(path)) is not None and path.with_name(name) not in seen:
        path = path.with_name(name)
        seen.add(path)
    return path


def _successor(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    name = content.get(_CONTINUED) if isinstance(content, dict) else None
    return name if isinstance(name, str) and name == Path(name).name else None
