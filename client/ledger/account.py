"""Account of a site's privacy ledger: spent in all and by run, and rounds that still fit."""

import math
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from client.ledger.asked import runs_since_approval
from client.ledger.entries import Entry, unit_of
from client.ledger.heads import has_trace
from client.ledger.ledger import LEDGER, Ledger, acknowledge
from client.site_folder.policy import Policy
from client.site_folder.site_file import parse_site_file
from common.errors import REMEDIES, MachineError, Refusal, RefusalCode, StateError
from common.privacy.accounting import Release, Spend, epsilon_within, merged, spend

MOST_ROUNDS = 10_000
"""Nobody is told whether more rounds than these would fit."""


@dataclass(frozen=True)
class Run:
    """Releases of the runs under one federation file.

    Attributes:
        digest: of the federation file; empty for what was carried over from a lost ledger.
        rounds: of training, counted once each; None without privacy, where only the first release is entered.
        releases: equal mechanisms merged.
        alone: what the run would cost if there had been no other.
        uncommitted: reservations that count although nothing says that the release was computed.
        first, last: when the first and the last reservation was made, ISO 8601 in UTC.
        note: what the hospital wrote when it acknowledged the loss of a ledger.
        since_approval: Flower's runs that count since the file was approved last.
    """

    digest: str
    rounds: int | None
    releases: tuple[Release, ...]
    alone: Spend
    uncommitted: int
    first: str
    last: str
    note: str = ""
    since_approval: int = 0


@dataclass(frozen=True)
class Account:
    """A cohort's budget, at the delta of its policy.

    Attributes:
        site: the hospital's name.
        policy: what the hospital allows.
        path: of the ledger.
        entries: how many the ledger has; None if there is no ledger yet.
        total: of everything ever reserved.
        runs: the first one first.
        unit: of privacy, to which every epsilon refers; None if nothing was released.
        last_round: what the last round of training released; None if none is known.
    """

    site: str
    policy: Policy
    path: Path
    entries: int | None
    total: Spend
    runs: tuple[Run, ...]
    last_round: Release | None
    unit: str | None = None

    @cached_property
    def further_rounds(self) -> int | None:
        """Rounds like the last that the policy still allows, at most one above `MOST_ROUNDS`.

        Epsilons do not add up, so what is left cannot be had by subtraction. None without a maximum, or if no round
        tells on what terms the next would be.
        """
        maximum, delta = self.policy.maximum_epsilon, self.policy.delta
        if maximum is None:
            return None
        if not math.isfinite(self.total.epsilon):
            return 0
        if self.last_round is None:
            return None
        releases = [release for run in self.runs for release in run.releases]
        return _further_rounds(releases, self.last_round, delta, maximum, adaptive=len(self.runs) > 1)

    def as_json(self) -> dict[str, Any]:
        """The account as plain data; an epsilon that is infinite is null."""
        further = self.further_rounds
        return {
            "site": self.site,
            "ledger": str(self.path),
            "entries": self.entries,
            "unit": self.unit,
            "delta": self.policy.delta,
            "maximum_epsilon": self.policy.maximum_epsilon,
            "spent": _spend_json(self.total),
            "last_round": None if self.last_round is None else self.last_round.model_dump(),
            "further_rounds": None if further is None else min(further, MOST_ROUNDS),
            "further_rounds_are_more": further is not None and further > MOST_ROUNDS,
            "runs": [
                {
                    "federation": run.digest or None,
                    "first": run.first,
                    "last": run.last,
                    "rounds": run.rounds,
                    "releases": [release.model_dump() for release in run.releases],
                    "alone": _spend_json(run.alone),
                    "uncommitted": run.uncommitted,
                    "runs_since_approval": run.since_approval,
                    "note": run.note or None,
                }
                for run in self.runs
            ],
        }


def read_account(folder: Path) -> Account:
    """Verify the ledger of a site folder and add up its releases; no ledger is made.

    Raises:
        InputError: if `site.toml` is not usable, or the ledger cannot be opened for another reason than damage.
        Refusal: LEDGER_MISSING or LEDGER_INVALID if it was lost, changed or damaged.
    """
    site = parse_site_file(folder)
    entries = _entries(folder)
    delta = site.policy.delta
    everything = [release for entry in entries or () for release in entry.releases]
    return Account(
        site=site.name,
        policy=site.policy,
        path=folder / LEDGER,
        entries=None if entries is None else len(entries),
        total=spend(everything, delta),
        runs=tuple(_runs(entries or (), delta)),
        last_round=_last_round(entries or ()),
        unit=unit_of(entries or ()),
    )


def read_entries(folder: Path) -> tuple[Entry, ...]:
    """Verify the ledger of a site folder and read its entries; none where there is no ledger.

    Raises:
        InputError: if the ledger cannot be opened for another reason than damage.
        Refusal: LEDGER_MISSING or LEDGER_INVALID if it was lost, changed or damaged.
    """
    return _entries(folder) or ()


def acknowledge_loss(folder: Path, note: str) -> bool:
    """Go on after the loss of a ledger, if there are traces of one.

    Returns:
        Whether a new ledger was begun; otherwise the ledger goes on with the note.

    Raises:
        InputError: if there is nothing to acknowledge, or the ledger cannot be read or written.
    """
    parse_site_file(folder)
    with _explaining(folder):
        if _is_absent(folder) and not has_trace(folder):
            what = "there is no privacy ledger yet, and no trace of an earlier one"
            raise StateError(str(folder / LEDGER), what, "there is nothing to acknowledge")
        return acknowledge(folder, note)


def _entries(folder: Path) -> tuple[Entry, ...] | None:
    with _explaining(folder):
        if _is_absent(folder):
            if has_trace(folder):
                raise Refusal(RefusalCode.LEDGER_MISSING)
            return None
        with Ledger(folder) as ledger:
            return ledger.entries()


@contextmanager
def _explaining(folder: Path) -> Iterator[None]:
    """Say what keeps a ledger from being used, which a refusal's code does not."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code != RefusalCode.LEDGER_UNAVAILABLE:
            raise
        cause = refusal.__cause__
    except OSError as error:
        cause = error
    else:
        return
    what = f"the privacy ledger cannot be used just now ({_reason(cause)})"
    raise MachineError(str(folder / LEDGER), what, REMEDIES[RefusalCode.LEDGER_UNAVAILABLE]) from None


def _is_absent(folder: Path) -> bool:
    """Whether there is no ledger, or a file in which nothing was ever written."""
    path = folder / LEDGER
    return not path.exists() or path.stat().st_size == 0


def _reason(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, sqlite3.Error) else type(error).__name__


def _last_round(entries: Sequence[Entry]) -> Release | None:
    return next(
        (
            release
            for entry in reversed(entries)
            for release in entry.releases
            if entry.kind == "reserved" and release.mechanism == "training"
        ),
        None,
    )


def _further_rounds(
    so_far: Sequence[Release], round_: Release, delta: float, maximum: float, adaptive: bool
) -> int:
    """Count the rounds that the ledger would grant.

    Once there are several runs, the moments alone decide.
    """

    def too_many(rounds: int, quickly: bool = False) -> bool:
        more = round_.model_copy(update={"steps": round_.steps * rounds})
        return not epsilon_within([*so_far, more], delta, maximum, adaptive or quickly)

    counts = range(1, MOST_ROUNDS + 2)
    low = bisect_left(counts, True, key=lambda rounds: too_many(rounds, quickly=True))
    high = low + 1
    while high <= MOST_ROUNDS and not too_many(high):
        low, high = high, 2 * high
    return bisect_left(counts, True, low, min(high, len(counts)), key=too_many)


def _runs(entries: Sequence[Entry], delta: float) -> list[Run]:
    committed = {entry.reservation for entry in entries}
    by_run: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == "reserved" or entry.releases or entry.note:
            by_run.setdefault(entry.run, []).append(entry)
    return [
        _run(digest, mine, committed, len(runs_since_approval(entries, digest)), delta)
        for digest, mine in by_run.items()
    ]


def _run(
    digest: str, entries: Sequence[Entry], committed: set[int | None], since_approval: int, delta: float
) -> Run:
    releases = merged(release for entry in entries for release in entry.releases)
    unbounded = any(release.mechanism == "without-privacy" for release in releases)
    return Run(
        digest=digest,
        rounds=None if unbounded else len({entry.round for entry in entries} - {None}),
        releases=releases,
        alone=spend(releases, delta),
        uncommitted=sum(entry.kind == "reserved" and entry.number not in committed for entry in entries),
        since_approval=since_approval,
        first=entries[0].at,
        last=entries[-1].at,
        note=" ".join(entry.note for entry in entries if entry.note),
    )


def _spend_json(total: Spend) -> dict[str, float | None]:
    figures = {"epsilon": total.epsilon, "rdp": total.rdp, "prv": total.prv}
    return {name: figure if math.isfinite(figure) else None for name, figure in figures.items()}
