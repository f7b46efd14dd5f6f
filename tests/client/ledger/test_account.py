"""A cohort's account: every reservation counts once, and what cannot be read is never called zero."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from client.ledger.account import Account, acknowledge_loss, read_account
from client.ledger.heads import head_paths
from client.ledger.ledger import LEDGER, Ledger
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.policy import Limit, Policy
from common.errors import MachineError, Refusal, RefusalCode, StateError
from common.privacy.accounting import Release, Spend, epsilon_within, spend

DELTA = 1e-3
NO_LIMIT = Limit(None, DELTA)
FIRST, SECOND = "3f9a" * 16, "b71e" * 16
ROUND = Release(mechanism="training", noise_multiplier=20.0)
STATISTICS = Release(mechanism="statistics", noise_multiplier=30.0)
BARE = Release(mechanism="without-privacy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site folder; its ledger's heads are kept beside it."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    site = tmp_path / "north"
    site.mkdir()
    (site / "o.csv").write_text("CANARY-8371")
    (site / "site.toml").write_text('name = "north"\ntables = { outcomes = "o.csv" }\n')
    return site


def spent(folder: Path, *entries: tuple[str, int | None, Release], committed: bool = True) -> None:
    with Ledger(folder) as ledger:
        for run, number, release in entries:
            reserved = ledger.reserve(run, number, [release], NO_LIMIT)
            if committed:
                ledger.commit(reserved)


def test_runs_that_alternate_are_told_apart_and_accounted_for_together(folder: Path) -> None:
    spent(folder, (FIRST, None, STATISTICS), (FIRST, 1, ROUND), (SECOND, 1, ROUND), (FIRST, 2, ROUND))
    found = read_account(folder)
    assert [(run.digest, run.rounds) for run in found.runs] == [(FIRST, 2), (SECOND, 1)]
    assert found.runs[0].releases == (STATISTICS, ROUND.model_copy(update={"steps": 2}))
    assert found.total == spend([STATISTICS, *3 * [ROUND]], DELTA)
    assert found.runs[1].alone == spend([ROUND], DELTA)
    assert found.total.epsilon < sum(run.alone.epsilon for run in found.runs)


def test_a_round_that_is_repeated_costs_again_and_is_one_round(folder: Path) -> None:
    spent(folder, (FIRST, 1, ROUND), (FIRST, 1, ROUND))
    (run,) = read_account(folder).runs
    assert (run.rounds, run.uncommitted) == (1, 0)
    assert run.releases == (ROUND.model_copy(update={"steps": 2}),)


def test_what_was_reserved_counts_whether_or_not_it_was_sent(folder: Path) -> None:
    spent(folder, (FIRST, 1, ROUND))
    once = read_account(folder).total.epsilon
    spent(folder, (FIRST, 2, ROUND), committed=False)
    found = read_account(folder)
    assert found.runs[0].uncommitted == 1
    assert found.total.epsilon > once


def test_a_run_without_noise_ends_every_guarantee(folder: Path) -> None:
    spent(folder, (FIRST, 1, ROUND), (SECOND, None, BARE))
    found = read_account(folder)
    assert math.isinf(found.total.epsilon)
    assert [run.rounds for run in found.runs] == [1, None]
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["spent"] == {"epsilon": None, "rdp": None, "prv": None}
    assert told["runs"][0]["alone"]["epsilon"] == spend([ROUND], DELTA).epsilon


def account(maximum: float | None, total: float = 1.0, last: Release | None = ROUND) -> Account:
    policy = Policy(maximum_epsilon=maximum, delta=DELTA)
    return Account("north", policy, Path(LEDGER), 1, Spend(total, total, DELTA), (), last)


@pytest.mark.parametrize(
    ("found", "further"),
    [
        (account(None), None),
        (account(9.0, last=None), None),
        (account(9.0, total=math.inf), 0),
        (account(9.0, total=math.inf, last=None), 0),
        (account(1e-6), 0),
    ],
)
def test_how_many_rounds_would_fit_is_told_only_where_it_is_known(
    found: Account, further: int | None
) -> None:
    assert found.further_rounds == further
    assert found.as_json()["further_rounds"] == further


@pytest.mark.parametrize("maximum", [0.3, 0.6])
def test_the_rounds_that_would_fit_do_and_one_more_does_not(maximum: float) -> None:
    rounds = account(maximum).further_rounds
    assert rounds is not None
    assert epsilon_within(rounds * [ROUND], DELTA, maximum)
    assert not epsilon_within((rounds + 1) * [ROUND], DELTA, maximum)


def lose(ledger: Path) -> None:
    ledger.unlink()


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


def garble(ledger: Path) -> None:
    ledger.write_bytes(b"CANARY-8371" * 1000)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lose, RefusalCode.LEDGER_MISSING),
        (empty, RefusalCode.LEDGER_MISSING),
        (garble, RefusalCode.LEDGER_INVALID),
    ],
)
def test_a_ledger_that_was_there_is_missed_until_its_loss_is_acknowledged(
    folder: Path, damage: Any, code: RefusalCode
) -> None:
    spent(folder, (FIRST, 1, ROUND), (FIRST, 2, ROUND))
    before = read_account(folder).total.epsilon
    damage(folder / LEDGER)
    with pytest.raises(Refusal) as raised:
        read_account(folder)
    assert raised.value.code is code
    acknowledge_loss(folder, "disk of 3 March")
    found = read_account(folder)
    assert found.total.epsilon >= before
    assert (found.runs[0].digest, found.runs[0].note, found.last_round) == ("", "disk of 3 March", None)


def test_a_site_that_never_released_anything_has_nothing_to_acknowledge(folder: Path) -> None:
    with pytest.raises(StateError) as raised:
        acknowledge_loss(folder, "x")
    assert raised.value.where == str(folder / LEDGER)
    assert (read_account(folder).entries, read_account(folder).total.epsilon) == (None, 0)
    assert not (folder / LEDGER).exists()
    assert not any(place.exists() for place in head_paths(folder))


def test_an_empty_file_is_no_ledger_and_reading_makes_none_of_it(folder: Path) -> None:
    (folder / LEDGER).parent.mkdir()
    (folder / LEDGER).write_bytes(b"")
    assert read_account(folder).entries is None
    assert (folder / LEDGER).read_bytes() == b""
    assert not any(place.exists() for place in head_paths(folder))


def locked() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError("CANARY"), "OSError"),
        (locked(), "database is locked"),
    ],
)
def test_what_keeps_a_ledger_from_being_read_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, told: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise cause

    spent(folder, (FIRST, 1, ROUND))
    monkeypatch.setattr(sqlite3, "connect", broken)
    with pytest.raises(MachineError) as raised:
        read_account(folder)
    assert raised.value.where == str(folder / LEDGER)
    assert told in raised.value.what
    assert "CANARY" not in str(raised.value)
