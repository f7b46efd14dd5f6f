"""Seal of a finished run: the SHA-256 of its journal, weights and preprocessing.

A resumed experiment does not train such a run again, so that it must know these files by more than their names.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from common.errors import IntegrityError
from common.files import sync_folder, write_whole
from common.sealed_json import BrokenSealError, digests, sealed, unsealed
from server.records.assessment import FOLDER

FINISHED = "finished.json"


def seal_run(out: Path) -> None:
    """Write the seal of a run that has ended, whole and durably."""
    write_whole(out / FINISHED, sealed(json.dumps({"files": digests(out, _files(out))}).encode()))


def open_run(out: Path) -> None:
    """Remove the seal, if there is one, before a run writes into its folder again."""
    if (out / FINISHED).is_file():
        (out / FINISHED).unlink()
        sync_folder(out)


def is_sealed(out: Path) -> bool:
    """Return whether a run has ended.

    Raises:
        IntegrityError: if its files are not those that were sealed.
    """
    try:
        content = (out / FINISHED).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        whole = json.loads(unsealed(content))["files"] == digests(out, _files(out))
    except BrokenSealError:
        whole = False
    if not whole:
        raise IntegrityError(
            str(out), "a file of this finished run was changed", "begin the experiment again"
        )
    return True


def _files(out: Path) -> Iterator[Path]:
    """The run's files, without a temporary one that a killed process left."""
    return (
        path
        for path in (*out.iterdir(), *(out / FOLDER).glob("*"))
        if path.is_file() and path.name != FINISHED and not path.name.startswith(".")
    )
