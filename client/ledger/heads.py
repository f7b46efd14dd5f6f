"""Copies of a privacy ledger's head: the end of its chain, and all that it counts.

A head copy holds nothing about patients, no name and no path. If the ledger is lost, the releases are still known. The
process that trains writes ledger and copies, and could set all of them back; the gate's copy is beside the receipts,
where under an account of its own that process can neither write nor look. It is written as a message leaves.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.chained_log.chain import ChainEnd
from client.chained_log.end_copies import outside_path, read_copy, write_copy
from client.ledger.entries import NO_ENTRIES, PATIENT, Entry, unit_of
from client.site_folder.outside import node_key_of
from client.site_folder.places import Home
from common.privacy.accounting import Release, merged

HEAD_FILE = Path("records") / "ledger-head.json"
"""In another folder than the ledger, so that it outlives the loss of the ledger's."""


_EARLIER = "ledger-head.json"
"""Path in the site folder of the copy that an earlier version kept."""


_OF_GATE = "ledger-head.json"
"""Name beside the receipts of the copy that the gate alone writes."""


_RESERVATION = re.compile(rb'"reservation":[0-9]')


class Head(BaseModel):
    """End of a ledger.

    Attributes:
        entries: number of entries; 0 just before the first one is written.
        hash: of the last entry.
        releases: everything the ledger counts, equal mechanisms merged.
        unit: of privacy, to which the releases refer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: int = Field(ge=0)
    hash: str
    releases: tuple[Release, ...]
    unit: str = PATIENT


NO_HEAD = Head(entries=0, hash=NO_ENTRIES.hash, releases=())


def head_of(entries: Sequence[Entry]) -> Head:
    """Head of a ledger with one or more entries."""
    releases = merged(release for entry in entries for release in entry.releases)
    unit = unit_of(entries) or PATIENT
    return Head(entries=len(entries), hash=entries[-1].hash, releases=releases, unit=unit)


def follows(entries: Sequence[Entry], head: Head) -> bool:
    """Whether the head was copied from these entries or from earlier ones of the same chain."""
    return ChainEnd(head.entries, head.hash).is_in([entry.hash for entry in entries])


def head_paths(site: Path) -> tuple[Path, Path]:
    """Paths of a ledger's head copies: in the site folder and, by the node key, outside.

    The copy of an earlier version is moved to where it is kept now.

    Raises:
        OSError: if there is no home folder to fall back on, or a copy cannot be moved.
    """
    inner, earlier = site / HEAD_FILE, site / _EARLIER
    if earlier.exists() and not inner.exists():
        inner.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process was first
            earlier.rename(inner)
    return inner, outside_path("ledgers", site, node_key_of(site))


def gate_head_path(site: Path) -> Path:
    """Path of the gate's copy."""
    return Home(site).receipts.with_name(_OF_GATE)


def read_gate_head(site: Path) -> Head | None:
    """Read the gate's copy; None if there is none, or this account may not look.

    Raises:
        OSError: if it cannot be read otherwise.
        ValidationError: if it is not a head copy.
    """
    try:
        return read_head(gate_head_path(site))
    except PermissionError:
        return None


def write_gate_head(site: Path, entries: Sequence[Entry]) -> None:
    """Write the gate's copy of a ledger's head, whole or not at all, where there is a ledger.

    Raises:
        OSError: if it cannot be written.
    """
    if entries:
        write_head(head_of(entries), gate_head_path(site))


def has_trace(site: Path) -> bool:
    """Whether a head copy knows of entries or cannot be read, or a receipt names an entry.

    Raises:
        OSError: if there is no home folder to fall back on, or a copy cannot be reached.
    """
    try:
        copies = [*map(read_head, head_paths(site)), read_gate_head(site)]
    except ValidationError:
        return True
    return any(copy not in (None, NO_HEAD) for copy in copies) or _is_receipted(site)


def _is_receipted(site: Path) -> bool:
    """Whether a receipt, an archived one included, names an entry of the ledger.

    An account that may not read the receipts cannot exclude it, and begins no ledger.
    """
    receipts = Home(site).receipts
    if receipts.parent.exists() and not os.access(receipts.parent, os.R_OK | os.X_OK):
        return True
    files = site.glob(f"{receipts.parent.name}*/{receipts.name}")
    return any(_RESERVATION.search(path.read_bytes()) is not None for path in files)


def read_head(path: Path) -> Head | None:
    """Read a head copy; None if there is none.

    Raises:
        OSError: if it cannot be read.
        ValidationError: if it is not a head copy.
    """
    return read_copy(path, Head)


def write_head(head: Head, path: Path) -> None:
    """Write a head copy, whole or not at all.

    Raises:
        OSError: if it cannot be written; an older copy is then still there.
    """
    write_copy(path, head)
