"""Recovery of a lost, damaged or restored privacy ledger: known releases, and a new ledger."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from client.ledger.entries import PATIENT, Entry, append_entry, create_table, end_of, now, read_on, unit_of
from client.ledger.heads import Head, head_of, read_head, write_head
from common.files import copy_whole, sync_folder
from common.privacy.accounting import Release, merged, most_steps

_COMPANIONS = ("-journal", "-wal", "-shm")


def known_releases(path: Path, head_paths: Sequence[Path]) -> tuple[Release, ...]:
    """Collect, per mechanism, the most steps of a head copy or of the readable entries."""
    heads = filter(None, map(_readable_head, head_paths))
    salvaged = (release for entry in _salvage(path) for release in entry.releases)
    return most_steps([merged(salvaged), *(head.releases for head in heads)])


def known_unit(path: Path, head_paths: Sequence[Path]) -> str:
    """Unit of privacy that a head copy or a readable entry of the ledger knows of."""
    heads = [head.unit for head in map(_readable_head, head_paths) if head is not None and head.releases]
    return next(iter(heads), None) or unit_of(_salvage(path)) or PATIENT


def confirm(path: Path, note: str, head_paths: Sequence[Path]) -> None:
    """Add a note to a sound ledger, and write its head copies.

    Raises:
        Refusal: if an entry was changed or taken away.
        OSError: if a file cannot be written, and `sqlite3.Error` likewise; a second attempt mends it.
    """
    entries: list[Entry] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = EXTRA")
        with database:
            database.execute("BEGIN IMMEDIATE")
            read_on(database, entries)
            entry = Entry(number=len(entries) + 1, at=now(), kind="acknowledged", note=note)
            entries.append(append_entry(database, entry, end_of(entries)))
    for head_path in head_paths:
        write_head(head_of(entries), head_path)


def replace_damaged(path: Path, first: Entry, head_paths: Sequence[Path]) -> None:
    """Replace a damaged ledger, which is kept aside; at no moment is there none.

    Raises:
        OSError: if a file cannot be written, and `sqlite3.Error` likewise; a second attempt mends it.
    """
    new = path.with_name(path.name + ".new")
    for leftover in (new, *(_beside(new, suffix) for suffix in _COMPANIONS)):
        leftover.unlink(missing_ok=True)
    database = sqlite3.connect(new, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = EXTRA")
        with database:
            database.execute("BEGIN IMMEDIATE")
            sealed = create_table(database, first)
    finally:
        database.close()
    aside = path.with_name(f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.sqlite")
    if path.exists() and path.stat().st_size:
        copy_whole(path, aside)
    for suffix in _COMPANIONS:
        if _beside(path, suffix).exists():
            # left where it is, SQLite would apply the damaged ledger's journal to the new one
            copy_whole(_beside(path, suffix), _beside(aside, suffix))
            _beside(path, suffix).unlink()
    new.replace(path)
    sync_folder(path.parent)
    for head_path in head_paths:
        write_head(head_of([sealed]), head_path)


def _salvage(path: Path) -> Iterator[Entry]:
    """Releases of every readable entry of a damaged ledger, whether its hash fits or not."""
    if not path.exists():
        return
    database = sqlite3.connect(path)
    try:
        for (text,) in database.execute("SELECT entry FROM entries"):
            try:
                yield Entry.model_validate_json(text)
            except ValidationError:
                continue
    except (sqlite3.Error, UnicodeError):
        return
    finally:
        database.close()


def _readable_head(path: Path) -> Head | None:
    try:
        return read_head(path)
    except ValidationError:
        return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
