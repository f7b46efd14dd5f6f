"""Copies of a log's end, one of them outside the site folder.

A hash chain shows that an entry was changed, but not that the latest ones are gone: a log that was put back from an
older copy is sound in itself. A copy of the end holds the number of entries and the last hash. Whoever can rewrite the
log and every copy can rewrite history; nobody else can unnoticed.
"""

import hashlib
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from client.site_folder.outside import state_folder
from common.files import write_whole

Copy = TypeVar("Copy", bound=BaseModel)


def outside_path(kind: str, log: Path) -> Path:
    """Path of the copy outside the site folder, named by a hash of the log's path.

    Args:
        kind: folder of all logs of a kind.
        log: file or folder that the copy belongs to.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    name = hashlib.sha256(os.fsencode(log.resolve())).hexdigest()
    return state_folder() / kind / f"{name}.json"


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


def write_copy(path: Path, copy: BaseModel, mode: int = 0o644, scratch: Path | None = None) -> None:
    """Write a copy of the end, whole and durably.

    Args:
        path: the copy.
        copy: the end.
        mode: permissions.
        scratch: folder of the temporary file; by default the folder of the copy.

    Raises:
        OSError: if it cannot be written; an older copy is then still there.
    """
    write_whole(path, copy.model_dump_json().encode(), mode, scratch=scratch)
