"""Entries of a privacy ledger in an SQLite table, chained by hashes.

The table has (number, entry, hash): the entry as JSON text, and SHA-256 of the previous hash and that very text.
Triggers keep the table append-only for whoever opens it; the hashes show an entry that changed without triggers.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from client.chained_log.chain import ChainEnd
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


PATIENT = "patient"
"""Unit of privacy of entries from before there were others, which do not name it."""


NO_ENTRIES = ChainEnd(0, "")


class AskedQuestion(BaseModel):
    """Question of a coordinator that a hospital answered, or began to answer.

    Attributes:
        run_id: Flower's id of the run.
        kind: the message's type.
        round: 0 for statistics; for an assessment the place of its question.
        fold: that is held out.
        costs: whether the answer is another one each time, at a price.
        scaling: SHA-256 of the request's preprocessing; empty for statistics.
        weights: SHA-256 of the request's weights; empty for statistics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: int
    kind: Literal["statistics", "train", "evaluate", "assessment"]
    round: int
    fold: int
    costs: bool = True
    scaling: str = ""
    weights: str = ""


class Entry(BaseModel):
    """Event in the history of a cohort's budget.

    Attributes:
        number: 1 for the first entry.
        at: when, ISO 8601 in UTC.
        kind: `opened` or `acknowledged` is the first entry; `reserved` comes before a release is computed, `committed`
            after; `asked` comes before a question is answered; `approved` when a hospital approves a federation file;
            `refused` when a request on it gets a refusal that counts. A later `acknowledged` accepts a sound ledger
            that nothing outside the site folder confirmed.
        run: digest of the federation file that a reservation, question, approval or refusal is about; empty otherwise.
        round: of the reservation; None for statistics.
        unit: of privacy, to which the releases' epsilon refers.
        releases: what was reserved, or what an acknowledgement carried over from a lost ledger.
        reservation: number of the entry that is committed.
        question: that was asked.
        note: what the hospital wrote in an acknowledgement.
        hash: SHA-256 in hex, over the previous entry's hash and this entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    at: str
    kind: Literal["opened", "reserved", "committed", "acknowledged", "asked", "approved", "refused"]
    run: str = ""
    round: int | None = None
    unit: str = PATIENT
    releases: tuple[Release, ...] = ()
    reservation: int | None = None
    question: AskedQuestion | None = None
    note: str = ""
    hash: str = ""


def now() -> str:
    """Time of an entry made now."""
    return datetime.now(UTC).isoformat()


def create_table(database: sqlite3.Connection, first: Entry) -> Entry:
    """Make the table with its first entry, within the caller's transaction."""
    for statement in TABLE:
        database.execute(statement)
    return append_entry(database, first, NO_ENTRIES)


def append_entry(database: sqlite3.Connection, entry: Entry, end: ChainEnd) -> Entry:
    """Add an entry to the chain that ends there, within the caller's transaction."""
    text = entry.model_dump_json(exclude={"hash"})
    sealed = entry.model_copy(update={"hash": end.followed_by(text).hash})
    database.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.number, text, sealed.hash))
    return sealed


def end_of(entries: Sequence[Entry]) -> ChainEnd:
    """End of the chain of these entries."""
    return ChainEnd(len(entries), entries[-1].hash) if entries else NO_ENTRIES


def read_on(database: sqlite3.Connection, entries: list[Entry]) -> None:
    """Add to the entries what was appended since; the last of them must still be in the table.

    Raises:
        Refusal: if an entry was changed or taken away.
        sqlite3.Error: if the table cannot be read.
        ValidationError: if the text of an entry is not one.
    """
    query = "SELECT number, entry, hash FROM entries WHERE number >= ? ORDER BY number"
    rows = database.execute(query, (len(entries),)).fetchall()
    if not rows or (entries and rows.pop(0)[2] != entries[-1].hash):
        raise Refusal(RefusalCode.LEDGER_INVALID)
    for number, text, digest in rows:
        end = end_of(entries).followed_by(str(text))
        if (number, digest) != (end.count, end.hash):
            raise Refusal(RefusalCode.LEDGER_INVALID)
        entry = Entry.model_validate_json(text)
        if entry.number != number:
            raise Refusal(RefusalCode.LEDGER_INVALID)
        entries.append(entry.model_copy(update={"hash": digest}))


def unit_of(entries: Iterable[Entry]) -> str | None:
    """Unit of privacy of everything that these entries release; None if they release nothing."""
    return next((entry.unit for entry in entries if entry.releases), None)
