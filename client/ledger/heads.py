"""How far a privacy ledger had come: two small copies of its end, one of them outside the site folder.

A hash chain shows that an entry was changed, but not that the latest ones are gone: a ledger put back from an older
copy is sound in itself. A head copy holds the number of entries, the last hash and the merged releases; nothing about
patients, no name and no path. If the ledger is lost, the releases are still known.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from client.ledger.chain import Entry
from client.site_folder.outside import state_folder
from common.files import write_whole
from common.privacy.accounting import Release, merged

HEAD_FILE = "ledger-head.json"
"""Directly in the site folder, so that it outlives the loss of the ledger's own folder."""


_UNFINISHED = "ledger"


class Head(BaseModel):
    """The end of a ledger.

    Attributes:
        entries: how many there are.
        hash: of the last one.
        releases: everything the ledger counts, equal mechanisms merged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: int = Field(ge=1)
    hash: str
    releases: tuple[Release, ...]


def head_of(entries: Sequence[Entry]) -> Head:
    """The end of a ledger of one or more entries."""
    releases = merged(release for entry in entries for release in entry.releases)
    return Head(entries=len(entries), hash=entries[-1].hash, releases=releases)


def follows(entries: Sequence[Entry], head: Head) -> bool:
    """Whether these entries are those the head was copied from, or the same and later ones."""
    return len(entries) >= head.entries and entries[head.entries - 1].hash == head.hash


def head_places(site: Path) -> tuple[Path, Path]:
    """Where the head copies of a site folder's ledger are: in the folder itself, and among the user's state.

    The second is in `$CONSILIUM_STATE`, `$XDG_STATE_HOME/consilium` or `~/.local/state/consilium`, under a name that
    only a hash of the site folder's path gives.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    name = hashlib.sha256(os.fsencode(site.resolve())).hexdigest()
    return site / HEAD_FILE, state_folder() / "ledgers" / f"{name}.json"


def read_head(place: Path) -> Head | None:
    """The head copy at a place; None if there is none.

    Raises:
        OSError: if it cannot be read.
        ValidationError: if it is not a head copy.
    """
    try:
        return Head.model_validate_json(place.read_bytes())
    except FileNotFoundError:
        return None


def write_head(head: Head, place: Path) -> None:
    """Write a head copy, whole or not at all; by way of a folder, as new files in a site folder count as new tables.

    Raises:
        OSError: if it cannot be written; an older copy is then still there.
    """
    write_whole(place, head.model_dump_json().encode(), scratch=place.parent / _UNFINISHED)
