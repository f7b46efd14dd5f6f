"""The entries of a privacy ledger, each sealed by a hash over the one before.

SQLite keeps them in one table of (number, entry, hash): the entry as JSON text, and SHA-256 of the previous hash and
that very text. Triggers keep the table append-only for whoever opens it; the hashes show where they were dropped.
"""

import hashlib
import sqlite3
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release

TABLE = (
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    "CREATE TRIGGER entries_hold BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    # INSERT OR REPLACE deletes without the first trigger
    "CREATE TRIGGER entries_follow BEFORE INSERT ON entries "
    "WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM entries) "
    "BEGIN SELECT RAISE(ABORT, 'append-only'); END",
)


class Entry(BaseModel):
    """One thing that happened to a cohort's budget.

    Attributes:
        number: 1 for the first entry.
        at: when, ISO 8601 in UTC.
        kind: `opened` or `acknowledged` is the first entry; `reserved` comes before a release is computed, `committed`
            after.
        run: digest of the federation file a reservation is for; empty otherwise.
        round: of the reservation; None for statistics.
        releases: what was reserved, or what an acknowledgement carried over from a lost ledger.
        reservation: number of the entry that is committed.
        note: what the hospital wrote when it acknowledged the loss of a ledger.
        hash: SHA-256 in hex, over the previous entry's hash and this entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    at: str
    kind: Literal["opened", "reserved", "committed", "acknowledged"]
    run: str = ""
    round: int | None = None
    releases: tuple[Release, ...] = ()
    reservation: int | None = None
    note: str = ""
    hash: str = ""


def now() -> str:
    """The time of an entry made now."""
    return datetime.now(UTC).isoformat()


def create(database: sqlite3.Connection, first: Entry) -> Entry:
    """Make the table, with its first entry sealed; to be called within a transaction."""
    for statement in TABLE:
        database.execute(statement)
    return append(database, first, previous="")


def append(database: sqlite3.Connection, entry: Entry, previous: str) -> Entry:
    """Add an entry, sealed over the previous one's hash; to be called within a transaction."""
    text = entry.model_dump_json(exclude={"hash"})
    sealed = entry.model_copy(update={"hash": _hash(previous, text)})
    database.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.number, text, sealed.hash))
    return sealed


def read_on(database: sqlite3.Connection, known: list[Entry]) -> None:
    """Add what was appended since to the `known` entries, the last of which must still be there.

    Raises:
        Refusal: if an entry was changed or taken away.
        sqlite3.Error: if the table cannot be read.
        ValidationError: if an entry is none.
    """
    query = "SELECT number, entry, hash FROM entries WHERE number >= ? ORDER BY number"
    rows = database.execute(query, (len(known),)).fetchall()
    if known:
        if not rows or rows.pop(0)[2] != known[-1].hash:
            raise Refusal(RefusalCode.LEDGER_INVALID)
    elif not rows:
        raise Refusal(RefusalCode.LEDGER_INVALID)
    for number, text, digest in rows:
        previous = known[-1].hash if known else ""
        if number != len(known) + 1 or digest != _hash(previous, text):
            raise Refusal(RefusalCode.LEDGER_INVALID)
        entry = Entry.model_validate_json(text)
        if entry.number != number:
            raise Refusal(RefusalCode.LEDGER_INVALID)
        known.append(entry.model_copy(update={"hash": digest}))


def _hash(previous: str, text: object) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
