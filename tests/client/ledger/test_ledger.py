"""A cohort's budget is never under-counted: not by restarts, kills, races or a full disk."""

import json
import multiprocessing
import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.chained_log import chain, end_copies, lock
from client.chained_log.lock import exclusive
from client.ledger import entries as ledger_entries
from client.ledger import heads as ledger_heads
from client.ledger import ledger
from client.ledger import recovery as ledger_recovery
from client.ledger.heads import head_paths
from client.ledger.ledger import LEDGER, Ledger
from client.site_folder.policy import Limit
from common import files
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release, spend
from tests.client.conftest import NO_LIMIT, ROUND, STATISTICS
from tests.client.kills import in_child, killed_at, lines_to_kill_at

DELTA = 1e-3
MODULES = {
    module.__file__
    for module in (ledger, ledger_entries, ledger_heads, ledger_recovery, chain, end_copies, lock, files)
}
PUBLIC = Release(mechanism="public-statistics")
UNBOUNDED = Release(mechanism="without-privacy")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


def declined(action: Callable[[], object]) -> RefusalCode:
    with pytest.raises(Refusal) as raised:
        action()
    return raised.value.code


def test_budget_is_composed_across_rounds_runs_and_reopenings(site: Path) -> None:
    rounds = [ROUND.model_copy(update={"sampling_rate": 0.5, "noise_multiplier": 2.0})] * 3
    for run, release in (("a", STATISTICS), *(("a", r) for r in rounds), ("b", PUBLIC), ("b", ROUND)):
        with Ledger(site) as ledger:
            ledger.commit(ledger.reserve(run, 1, [release], NO_LIMIT))
    with Ledger(site) as ledger:
        spent = spend(ledger.releases(), DELTA).epsilon
    assert spent == spend([STATISTICS, *rounds, PUBLIC, ROUND], DELTA).epsilon
    assert spent > 1.5 * max(spend([release], DELTA).epsilon for release in (STATISTICS, rounds[0], ROUND))


RELEASES = st.builds(
    Release,
    mechanism=st.sampled_from(["training", "statistics", "public-statistics"]),
    noise_multiplier=st.floats(0, 1e9),
    sampling_rate=st.floats(1e-9, 1),
    steps=st.integers(1, 10**9),
)


@settings(max_examples=15, deadline=None)
@given(
    reserved=st.lists(st.lists(RELEASES, min_size=1, max_size=3), max_size=6),
    committed=st.sets(st.integers(0, 5)),
)
def test_ledger_remembers_every_reservation_exactly(
    tmp_path_factory: pytest.TempPathFactory, reserved: list[list[Release]], committed: set[int]
) -> None:
    site = tmp_path_factory.mktemp("site")
    for place, releases in enumerate(reserved):
        with Ledger(site) as ledger:
            number = ledger.reserve("run", place, releases, NO_LIMIT)
            if place in committed:
                ledger.commit(number)
    with Ledger(site) as ledger:
        assert ledger.releases() == [release for releases in reserved for release in releases]


def test_limit_holds_over_everything_ever_released(site: Path) -> None:
    limit = Limit(spend([ROUND] * 3, DELTA).rdp * (1 + 1e-9), DELTA)
    with Ledger(site) as ledger:
        for number in range(3):
            ledger.require(f"run {number}", [ROUND], limit)
            ledger.reserve(f"run {number}", 1, [ROUND], limit)
        assert declined(lambda: ledger.require("new", [ROUND], limit)) == RefusalCode.DECLINED_BUDGET
        assert declined(lambda: ledger.reserve("new", 1, [ROUND], limit)) == RefusalCode.DECLINED_BUDGET
        ledger.reserve("new", None, [PUBLIC], limit)
        assert ledger.releases() == [ROUND] * 3 + [PUBLIC]


def test_a_run_chosen_after_another_is_granted_by_the_moments_alone(site: Path) -> None:
    three = spend([ROUND] * 3, DELTA)
    between = Limit((three.prv + three.rdp) / 2, DELTA)
    with Ledger(site) as ledger:
        for number in range(2):
            ledger.reserve("one", number, [ROUND], between)
        assert declined(lambda: ledger.reserve("other", 1, [ROUND], between)) == RefusalCode.DECLINED_BUDGET
        ledger.reserve("one", 3, [ROUND], between)


def test_training_without_privacy_is_recorded_once_per_run_and_ends_any_budget(site: Path) -> None:
    with Ledger(site) as ledger:
        assert declined(lambda: ledger.reserve("a", 1, [UNBOUNDED], Limit(1e9, DELTA))) == "declined-budget"
        first = ledger.reserve("a", 1, [UNBOUNDED], NO_LIMIT)
        ledger.commit(first)
        assert ledger.reserve("a", 2, [UNBOUNDED], NO_LIMIT) == first
        ledger.commit(first)
        assert ledger.reserve("b", 1, [UNBOUNDED], NO_LIMIT) > first
        assert [entry.kind for entry in ledger.entries()] == ["opened", "reserved", "committed", "reserved"]
        assert declined(lambda: ledger.reserve("c", 1, [ROUND], Limit(1e9, DELTA))) == "declined-budget"


def test_entries_say_what_was_reserved_for_which_run_and_round(site: Path) -> None:
    with Ledger(site) as ledger:
        number = ledger.reserve("digest", 7, [ROUND], NO_LIMIT)
        ledger.commit(number)
        _, reserved, committed = ledger.entries()
    assert (reserved.run, reserved.round, reserved.releases) == ("digest", 7, (ROUND,))
    assert (committed.reservation, committed.releases) == (number, ())
    assert reserved.at.endswith("+00:00")


def test_nothing_is_neither_reserved_nor_committed(site: Path) -> None:
    with Ledger(site) as ledger:
        with pytest.raises(ValueError):
            ledger.reserve("run", None, [], NO_LIMIT)
        with pytest.raises(ValueError):
            ledger.commit(1)
        assert len(ledger.entries()) == 1


@pytest.mark.parametrize("before", [0, 2])
def test_a_kill_at_any_line_never_loses_what_was_trained(
    memory: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    def made(name: str) -> tuple[Path, Path, Callable[[], None]]:
        monkeypatch.setenv("CONSILIUM_STATE", str(memory / f"state-{name}"))
        site, began = memory / name, memory / f"{name}-began"
        site.mkdir()
        for number in range(before):
            with Ledger(site) as ledger:
                ledger.reserve("earlier", number, [STATISTICS], NO_LIMIT)

        def life() -> None:
            with Ledger(site) as ledger:
                number = ledger.reserve("run", 1, [ROUND], NO_LIMIT)
                began.touch()
                ledger.commit(number)

        return site, began, life

    lines = lines_to_kill_at(MODULES, memory, made("whole")[2])
    for line in lines:
        site, began, life = made(f"site-{line}")
        assert killed_at(line, MODULES, life) is (line < lines[-1])
        with Ledger(site) as ledger:
            assert ledger.releases() in ([STATISTICS] * before, [STATISTICS] * before + [ROUND])
            if began.exists():
                assert ROUND in ledger.releases()
            ledger.commit(ledger.reserve("later", 1, [PUBLIC], NO_LIMIT))
    assert began.exists()
    assert lines[-1] > 100


@pytest.mark.parametrize("attempt", range(3))
def test_processes_cannot_both_spend_the_last_of_the_budget(site: Path, attempt: int) -> None:
    limit = Limit(spend([ROUND] * 2, DELTA).rdp * (1 + 1e-9), DELTA)
    with Ledger(site) as ledger:
        ledger.reserve("earlier", 1, [ROUND], limit)
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(3)

    def life() -> None:
        with Ledger(site) as ledger:
            start.wait()
            try:
                ledger.reserve(f"run {os.getpid()}", attempt, [ROUND], limit)
            except Refusal as refusal:
                os._exit(1 if refusal.code == RefusalCode.DECLINED_BUDGET else 2)
        os._exit(0)

    processes = [fork.Process(target=life) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(process.exitcode or 0 for process in processes) == [0, 1, 1]
    with Ledger(site) as ledger:
        assert ledger.releases() == [ROUND] * 2


def test_processes_that_append_at_once_lose_nothing(site: Path) -> None:
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(4)

    def life(place: int) -> None:
        with Ledger(site) as ledger:
            start.wait()
            for number in range(5):
                ledger.commit(ledger.reserve(f"run {place}", number, [ROUND], NO_LIMIT))
        os._exit(0)

    processes = [fork.Process(target=life, args=(place,)) for place in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with Ledger(site) as ledger:
        assert ledger.releases() == [ROUND] * 20
        assert len(ledger.entries()) == 41
        heads = [json.loads(place.read_bytes()) for place in head_paths(site)]
        assert [head["entries"] for head in heads] == [41, 41]


def test_a_full_disk_refuses_and_loses_nothing(site: Path) -> None:
    with Ledger(site) as ledger:
        for number in range(5):
            ledger.reserve("earlier", number, [ROUND] * 10, NO_LIMIT)
    counted, size = 50, (site / LEDGER).stat().st_size
    outcomes = set()
    for room in range(0, size + 16384, 2048):

        def life(room: int = room) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            try:
                with Ledger(site) as ledger:
                    for number in range(3):
                        ledger.reserve("run", number, [ROUND] * 10, NO_LIMIT)
            except Refusal as refusal:
                return 1 if refusal.code == RefusalCode.LEDGER_UNAVAILABLE else 2
            return 0

        status = in_child(life)
        outcomes.add(status)
        with Ledger(site) as ledger:
            known = len(ledger.releases())
        assert counted <= known <= counted + 30
        assert status == 1 or known == counted + 30
        counted = known
    assert outcomes == {0, 1}


def test_a_disk_full_from_the_start_makes_no_ledger_by_half(site: Path) -> None:
    def life() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        return 1 if declined(lambda: Ledger(site)) == RefusalCode.LEDGER_UNAVAILABLE else 2

    assert in_child(life) == 1
    with Ledger(site) as ledger:
        assert [entry.kind for entry in ledger.entries()] == ["opened"]


def test_state_that_cannot_be_written_refuses(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "file"))
    with pytest.raises(Refusal) as raised:
        Ledger(site)
    assert raised.value.code == RefusalCode.LEDGER_UNAVAILABLE
    assert isinstance(raised.value.__cause__, OSError)


def test_a_locked_ledger_and_one_that_may_not_be_read_are_not_called_damaged(site: Path) -> None:
    Ledger(site).close()
    locking = sqlite3.connect(site / LEDGER, isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    assert declined(lambda: Ledger(site, patience_s=0.0)) == RefusalCode.LEDGER_UNAVAILABLE
    locking.close()
    with exclusive(site / LEDGER):
        assert declined(lambda: Ledger(site, patience_s=0.0)) == RefusalCode.LEDGER_UNAVAILABLE
    aside = (site / LEDGER).rename(site / "aside")
    (site / LEDGER).mkdir()
    assert declined(lambda: Ledger(site)) == RefusalCode.LEDGER_UNAVAILABLE
    (site / LEDGER).rmdir()
    aside.rename(site / LEDGER)
    Ledger(site).close()


@pytest.mark.parametrize("lost", [lambda path: path.unlink(), lambda path: shutil.rmtree(path.parent)])
def test_a_ledger_deleted_while_it_is_in_use_is_missing_and_not_called_damaged(
    site: Path, lost: Callable[[Path], None]
) -> None:
    with Ledger(site) as ledger:
        number = ledger.reserve("run", 1, [ROUND], NO_LIMIT)
        lost(site / LEDGER)
        assert declined(lambda: ledger.commit(number)) == RefusalCode.LEDGER_MISSING
    assert declined(lambda: Ledger(site)) == RefusalCode.LEDGER_MISSING


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        (sqlite3.SQLITE_FULL, RefusalCode.LEDGER_UNAVAILABLE),
        (sqlite3.SQLITE_READONLY, RefusalCode.LEDGER_UNAVAILABLE),
        (sqlite3.SQLITE_READONLY_DBMOVED, RefusalCode.LEDGER_INVALID),
        (sqlite3.SQLITE_CANTOPEN, RefusalCode.LEDGER_UNAVAILABLE),
        (sqlite3.SQLITE_IOERR_WRITE, RefusalCode.LEDGER_UNAVAILABLE),
        (sqlite3.SQLITE_CORRUPT, RefusalCode.LEDGER_INVALID),
        (sqlite3.SQLITE_NOTADB, RefusalCode.LEDGER_INVALID),
        (sqlite3.SQLITE_ERROR, RefusalCode.LEDGER_INVALID),
        (sqlite3.SQLITE_CONSTRAINT_TRIGGER, RefusalCode.LEDGER_INVALID),
    ],
)
def test_only_damage_is_called_damage(
    site: Path, monkeypatch: pytest.MonkeyPatch, code: int, refused: RefusalCode
) -> None:
    class Failing(sqlite3.Connection):
        """A database in which no entry can be written."""

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement.startswith("INSERT"):
                error = sqlite3.OperationalError("as SQLite would")
                error.sqlite_errorcode = code
                raise error
            return super().execute(statement, *values)

    Ledger(site).close()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Failing))
    with Ledger(site) as ledger:
        assert declined(lambda: ledger.reserve("run", 1, [ROUND], NO_LIMIT)) == refused
