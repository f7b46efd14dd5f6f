"""Lasting privacy ledger of a cohort: its releases over all rounds, runs and restarts.

A release is reserved before it is computed and committed after. Reservations count whether committed or not, so a
crash over-counts and never under-counts. The ledger is an SQLite file in a folder below the site folder;
`client.ledger.entries` chains its entries, and by `client.ledger.heads` a lost or older ledger is noticed. A ledger
that no head copy outside the site folder confirms is not used until the hospital acknowledges it. Whoever can rewrite
the ledger and all head copies, the gate's included, can rewrite history; nobody else can unnoticed.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from client.chained_log.lock import PATIENCE_S, exclusive
from client.ledger.asked import refusals_since_approval
from client.ledger.entries import (
    PATIENT,
    AskedQuestion,
    Entry,
    append_entry,
    create_table,
    end_of,
    now,
    read_on,
    unit_of,
)
from client.ledger.heads import (
    NO_HEAD,
    follows,
    gate_head_path,
    has_trace,
    head_of,
    head_paths,
    read_gate_head,
    read_head,
    write_head,
)
from client.ledger.recovery import confirm, known_releases, known_unit, replace_damaged
from client.site_folder.policy import Limit
from common.errors import OptionError, Refusal, RefusalCode, StateError
from common.files import is_shared, open_lasting, sync_folder
from common.lifetime.full_disk import probe_room
from common.privacy.accounting import Release, epsilon_within

LEDGER = Path("ledger") / "ledger.sqlite"


_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}
"""Codes by which SQLite says that a file is locked, not permitted or on a full disk, and not that it is damaged."""


class Ledger:
    """Ledger of a site folder's cohort: opened, or made for a cohort that has never trained.

    Every entry is verified on opening, and later whatever this or another process appended. Any number of processes
    may open it; an open ledger belongs to the thread and the process that opened it.

    Head copies that are behind, as after a crash, are written anew, and so is a missing one in the site folder. Without
    the copy outside a ledger may be any older one that was restored elsewhere.

    Args:
        site: the site folder.
        patience_s: time to wait for another process that writes the ledger.

    Raises:
        Refusal: LEDGER_MISSING if head copies know of a ledger that is not there, LEDGER_INVALID if it was changed,
            damaged or replaced by an older one, LEDGER_UNCONFIRMED if there is no head copy outside the site folder,
            LEDGER_UNAVAILABLE if it is locked, not permitted or on a full disk. Every method may raise the latter
            three.
    """

    def __init__(self, site: Path, patience_s: float = PATIENCE_S) -> None:
        self._entries: list[Entry] = []
        self._site, self._path, self._patience_s = site, site / LEDGER, patience_s
        with _refusing(self._path, is_open=False):
            self._head_paths = head_paths(site)
            self._path.parent.mkdir(exist_ok=True)
            if is_shared(self._path.parent):
                os.close(
                    open_lasting(self._path, os.O_RDWR, 0o644)
                )  # SQLite's files get the permissions of this one
            self._database = sqlite3.connect(self._path, timeout=patience_s, isolation_level=None)
            try:
                self._database.execute("PRAGMA synchronous = EXTRA")
                self._begin(site)
                self._update_heads()
            except BaseException:
                self._database.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def entries(self) -> tuple[Entry, ...]:
        """All entries, the first one first."""
        with _refusing(self._path), self._transaction():
            return tuple(self._entries)

    def releases(self) -> list[Release]:
        """All releases ever reserved, and those carried over from a lost ledger."""
        return [release for entry in self.entries() for release in entry.releases]

    def require(self, run: str, releases: Sequence[Release], limit: Limit, unit: str = PATIENT) -> None:
        """Check that the limit covers these releases on top of all earlier ones; reserve nothing.

        Raises:
            Refusal: DECLINED_BUDGET if it does not, DECLINED_UNIT if the ledger counts another unit of privacy.
        """
        with _refusing(self._path), self._transaction():
            self._require_unit(unit)
            self._afford(run, releases, limit)

    def reserve(
        self,
        run: str,
        round_: int | None,
        releases: Sequence[Release],
        limit: Limit,
        unit: str = PATIENT,
    ) -> int:
        """Count these releases from now on, before any is computed.

        A run without privacy has one such entry however often it asks: it cannot get worse.

        Args:
            run: digest of the federation file.
            round_: of training; None for statistics.
            releases: at least one.
            limit: over everything so far and these.
            unit: of privacy. Epsilons of different units do not add up, so that a ledger counts one unit alone.

        Returns:
            The number of the reservation.

        Raises:
            Refusal: DECLINED_BUDGET if the limit does not cover them, DECLINED_UNIT if the ledger counts another
                unit. On any refusal nothing may be computed.
        """
        if not releases:
            raise ValueError("what releases nothing needs no reservation")
        with _refusing(self._path):
            with self._transaction():
                self._require_unit(unit)
                self._afford(run, releases, limit)
                if (same := self._already_unbounded(run, releases)) is not None:
                    return same
                number = self._append(
                    kind="reserved", run=run, round=round_, releases=tuple(releases), unit=unit
                )
            self._update_heads()
        return number

    def commit(self, reservation: int) -> None:
        """Note that a reserved release has been computed; a second time changes nothing."""
        with _refusing(self._path):
            with self._transaction():
                if reservation not in (entry.number for entry in self._entries if entry.kind == "reserved"):
                    raise ValueError("there is no such reservation")
                if reservation in (entry.reservation for entry in self._entries):
                    return
                self._append(kind="committed", reservation=reservation)
            self._update_heads()

    def ask(self, run: str, decide: Callable[[Sequence[Entry]], AskedQuestion]) -> None:
        """Record a question before it is answered, unless `decide` refuses it by the entries so far.

        No other process records one in between.

        Raises:
            Refusal: that of `decide`; nothing is recorded then.
        """
        with _refusing(self._path):
            with self._transaction():
                self._append(kind="asked", run=run, question=decide(tuple(self._entries)))
            self._update_heads()

    def refuse(self, run: str, most: int) -> bool:
        """Count a refused request on a federation file, unless that would be one too many.

        Args:
            run: digest of the federation file.
            most: refused requests that may get the code of their fault.

        Returns:
            Whether this one may.
        """
        with _refusing(self._path):
            with self._transaction():
                if refusals_since_approval(self._entries, run) >= most:
                    return False
                self._append(kind="refused", run=run)
            self._update_heads()
        return True

    def approve(self, run: str) -> None:
        """Note an approved federation file, of which runs and refusals are counted anew."""
        with _refusing(self._path):
            with self._transaction():
                self._append(kind="approved", run=run)
            self._update_heads()

    def _begin(self, site: Path) -> None:
        with exclusive(self._path, self._patience_s), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if self._database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                return
            if has_trace(site):
                raise Refusal(RefusalCode.LEDGER_MISSING)
            sync_folder(site)
            write_head(NO_HEAD, self._head_paths[1])  # before the first entry: without it, that is refused
            create_table(self._database, Entry(number=1, at=now(), kind="opened"))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Verify the ledger and its heads, and keep every other process from writing them meanwhile."""
        with exclusive(self._path, self._patience_s), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            read_on(self._database, self._entries)
            heads = [*map(read_head, self._head_paths), read_gate_head(self._site)]
            if not all(head is None or follows(self._entries, head) for head in heads):
                raise Refusal(RefusalCode.LEDGER_INVALID)
            if heads[1] is None:
                raise Refusal(RefusalCode.LEDGER_UNCONFIRMED)
            yield

    def _require_unit(self, unit: str) -> None:
        if unit_of(self._entries) not in (None, unit):
            raise Refusal(RefusalCode.DECLINED_UNIT)

    def _afford(self, run: str, releases: Sequence[Release], limit: Limit) -> None:
        if limit.epsilon is None:
            return
        before = [entry for entry in self._entries if entry.releases]
        everything = [*(release for entry in before for release in entry.releases), *releases]
        adaptive = any(
            entry.run != run for entry in before
        )  # this run may have been chosen by what others returned
        if not epsilon_within(everything, limit.delta, limit.epsilon, adaptive):
            raise Refusal(RefusalCode.DECLINED_BUDGET)

    def _already_unbounded(self, run: str, releases: Sequence[Release]) -> int | None:
        if any(release.mechanism != "without-privacy" for release in releases):
            return None
        return next(
            (
                entry.number
                for entry in self._entries
                if entry.kind == "reserved"
                and entry.run == run
                and any(release.mechanism == "without-privacy" for release in entry.releases)
            ),
            None,
        )

    def _append(self, **content: Any) -> int:
        """Add an entry to the file; `_entries` is read from the file in the next transaction."""
        entry = Entry(number=len(self._entries) + 1, at=now(), **content)
        append_entry(self._database, entry, end_of(self._entries))
        return entry.number

    def _update_heads(self) -> None:
        """Bring the head copies up to the ledger, locked lest two processes write them out of order."""
        with self._transaction():
            head = head_of(self._entries)
            for path in self._head_paths:
                if read_head(path) != head:
                    write_head(head, path)


def acknowledge(site: Path, note: str, patience_s: float = PATIENCE_S) -> bool:
    """Go on after a ledger was lost, damaged or restored, with all known releases.

    A damaged file is kept aside. The new ledger carries over, for every mechanism, the most steps that a head copy or
    what can still be read of the damaged ledger knows of: the budget is not reset. A sound ledger that only lacks its
    copy outside goes on with the note.

    Args:
        site: the site folder.
        note: what happened, for the hospital's own record.
        patience_s: time to wait for another process that writes the ledger.

    Returns:
        Whether a new ledger was begun.

    Raises:
        InputError: if the note is empty, or the ledger is sound and confirmed.
        Refusal: LEDGER_UNAVAILABLE if it cannot be read or written for another reason than damage.
    """
    path = site / LEDGER
    if not note.strip():
        raise OptionError(str(path), "the acknowledgement is empty", "write what happened to the ledger")
    try:
        Ledger(site, patience_s).close()
    except Refusal as refusal:
        if refusal.code == RefusalCode.LEDGER_UNAVAILABLE:
            raise
        unconfirmed = refusal.code == RefusalCode.LEDGER_UNCONFIRMED
    else:
        raise StateError(str(path), "the privacy ledger is sound", "there is nothing to acknowledge")
    with _refusing(path, is_open=False), exclusive(path, patience_s):
        heads = list(head_paths(site))
        if gate_head_path(site).exists():
            heads.append(gate_head_path(site))
        if unconfirmed:
            confirm(path, note, heads)
        else:
            carried, unit = known_releases(path, heads), known_unit(path, heads)
            first = Entry(number=1, at=now(), kind="acknowledged", releases=carried, unit=unit, note=note)
            replace_damaged(path, first, heads)
    return not unconfirmed


@contextmanager
def _refusing(path: Path, is_open: bool = True) -> Iterator[None]:
    """Turn failures into refusals; a ledger that was opened and is gone is missing."""
    try:
        yield
    except (sqlite3.Error, OSError, ValidationError, UnicodeError) as error:
        code = RefusalCode.LEDGER_UNAVAILABLE if _is_unavailable(error) else RefusalCode.LEDGER_INVALID
        if is_open and not path.exists():
            code = RefusalCode.LEDGER_MISSING
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise Refusal(code) from OSError(errno.ENOSPC, str(error), str(path))
        if isinstance(error, sqlite3.Error) and code is RefusalCode.LEDGER_UNAVAILABLE:
            raise Refusal(code) from probe_room(path) or error
        raise Refusal(code) from error


def _is_unavailable(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    taken_away = code == sqlite3.SQLITE_READONLY_DBMOVED
    return isinstance(error, OSError) or (code & 0xFF in _UNAVAILABLE and not taken_away)
