"""How far a privacy ledger had come: two small copies of its end, one of them outside the site folder.

A hash chain shows that an entry was changed, but not that the latest ones are gone: a ledger put back from an older
copy is sound in itself. A head copy holds the number of entries, the last hash and the merged releases; nothing about
patients, no name and no path. If the ledger is lost, the releases are still known.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from client.ledger_chain import Entry
from common.accounting import Release

STATE_VARIABLE = "CONSILIUM_STATE"
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


def merged(releases: Iterable[Release]) -> tuple[Release, ...]:
    """The same releases with the steps of equal mechanisms added up."""
    return _releases(_steps(releases))


def largest(accounts: Iterable[Sequence[Release]]) -> tuple[Release, ...]:
    """For every mechanism the most steps that one of several accounts of the same cohort knows of."""
    steps: Counter[_Mechanism] = Counter()
    for account in accounts:
        steps |= _steps(account)
    return _releases(steps)


_Mechanism = tuple[Any, float, float]


def _steps(releases: Iterable[Release]) -> Counter[_Mechanism]:
    steps: Counter[_Mechanism] = Counter()
    for release in releases:
        steps[release.mechanism, release.noise_multiplier, release.sampling_rate] += release.steps
    return steps


def _releases(steps: Counter[_Mechanism]) -> tuple[Release, ...]:
    return tuple(
        Release(mechanism=mechanism, noise_multiplier=noise, sampling_rate=rate, steps=number)
        for (mechanism, noise, rate), number in sorted(steps.items())
    )


def head_places(site: Path) -> tuple[Path, Path]:
    """Where the head copies of a site folder's ledger are: in the folder itself, and among the user's state.

    The second is in `$CONSILIUM_STATE`, `$XDG_STATE_HOME/consilium` or `~/.local/state/consilium`, under a name that
    only a hash of the site folder's path gives.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    name = hashlib.sha256(os.fsencode(site.resolve())).hexdigest()
    return site / HEAD_FILE, state_folder() / "ledgers" / f"{name}.json"


def state_folder() -> Path:
    """Where what must outlive a site folder is kept.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    if own := os.environ.get(STATE_VARIABLE):
        return Path(own)
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "consilium"
    try:
        return Path.home() / ".local" / "state" / "consilium"
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no home folder; set {STATE_VARIABLE}") from error


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
    unfinished = place.parent / _UNFINISHED
    unfinished.mkdir(parents=True, exist_ok=True)
    temporary = unfinished / f"{place.stem}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(head.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)


def sync_folder(folder: Path) -> None:
    """Make what was made or renamed in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
