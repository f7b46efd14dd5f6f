"""Account of a hospital's privacy budget, which reading does not change."""

import errno
import json
import math
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from client.ledger.account_text import COUNTED_THOUGH_INTERRUPTED, NO_GUARANTEE, release_text
from client.ledger.heads import head_paths
from client.ledger.ledger import LEDGER, Ledger
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.policy import Limit
from common.errors import Refusal
from common.privacy.accounting import Release, epsilon_within, spend

DELTA = 1e-4
LIMIT = Limit(9.0, DELTA)
FIRST, SECOND = "3f9a" * 16, "b71e" * 16
STATISTICS = Release(mechanism="statistics", noise_multiplier=10)
ROUND = Release(mechanism="training", noise_multiplier=4.0, sampling_rate=1.0, steps=2)
OTHER = Release(mechanism="training", noise_multiplier=6.0)
PUBLIC = Release(mechanism="public-statistics")
SPENT = [STATISTICS, *[ROUND] * 3, PUBLIC, *[OTHER] * 2]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv(STATE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def fresh(tmp_path: Path, state: Path) -> Path:
    """A site folder whose tables, were they read, are no tables."""
    site = tmp_path / "north"
    site.mkdir()
    (site / "o.csv").write_text("CANARY-8371")
    policy = f"[policy]\nmaximum_epsilon = 9.0\ndelta = {DELTA}\n"
    (site / "site.toml").write_text(f'name = "north"\ntables = {{ outcomes = "o.csv" }}\n{policy}')
    return site


@pytest.fixture
def trained(fresh: Path) -> Path:
    """Two runs, the last round of which was interrupted."""
    with Ledger(fresh) as ledger:
        ledger.commit(ledger.reserve(FIRST, None, [STATISTICS], LIMIT))
        for number in (1, 2, 3):
            ledger.commit(ledger.reserve(FIRST, number, [ROUND], LIMIT))
        ledger.commit(ledger.reserve(SECOND, None, [PUBLIC], LIMIT))
        ledger.commit(ledger.reserve(SECOND, 1, [OTHER], LIMIT))
        ledger.reserve(SECOND, 2, [OTHER], LIMIT)
    return fresh


def ask(*arguments: object, columns: int = 120) -> Ended:
    from consilium.command import app

    environment = {"COLUMNS": str(columns)}
    return CliRunner(env=environment).invoke(app, ["site", "ledger", *map(str, arguments)])


def account(site: Path) -> dict[str, Any]:
    ended = ask(site, "--json")
    assert ended.exit_code == 0, ended.output
    read: dict[str, Any] = json.loads(ended.stdout)
    return read


def files(*folders: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_account_is_what_the_accountants_say(trained: Path) -> None:
    found = account(trained)
    total = spend(SPENT, DELTA)
    assert (found["site"], found["delta"], found["maximum_epsilon"]) == ("north", DELTA, 9.0)
    assert found["spent"] == {"epsilon": total.epsilon, "rdp": total.rdp, "prv": total.prv}
    assert found["last_round"] == OTHER.model_dump()
    fits = [
        epsilon_within([*SPENT, *[OTHER] * (found["further_rounds"] + more)], DELTA, 9.0, adaptive=True)
        for more in (0, 1)
    ]
    assert fits == [True, False]
    assert found["further_rounds_are_more"] is False
    first, second = found["runs"]
    assert (first["federation"], first["rounds"], first["uncommitted"]) == (FIRST, 3, 0)
    assert (second["federation"], second["rounds"], second["uncommitted"]) == (SECOND, 2, 1)
    assert first["alone"]["epsilon"] == spend([STATISTICS, *[ROUND] * 3], DELTA).epsilon
    assert second["alone"]["epsilon"] == spend([OTHER] * 2, DELTA).epsilon
    assert [each["steps"] for each in first["releases"]] == [1, 6]
    assert first["first"] <= first["last"] <= second["first"]


@pytest.mark.parametrize("columns", [80, 120])
def test_account_in_words_names_every_run_and_what_it_released(trained: Path, columns: int) -> None:
    ended = ask(trained, columns=columns)
    assert ended.exit_code == 0
    total = spend(SPENT, DELTA)
    head = ended.stdout.splitlines()[0]
    assert all(part in head for part in ("north", f"{total.epsilon:.3f}", "0.0001"))
    rounds = account(trained)["further_rounds"]
    assert rounds > 1
    last = "training: noise 6, sampling rate 1, 1 step"
    assert (
        f"The policy allows 9 at delta 0.0001: {rounds} more rounds like the last ({last}) fit."
        in " ".join(ended.stdout.split())
    )
    for shown in (f"{total.rdp:.3f}", FIRST[:10], SECOND[:10], "statistics: noise 10", "training: noise 4"):
        assert shown in ended.stdout
    assert release_text(Release(mechanism="public-statistics")).split(":")[0] in ended.stdout
    assert COUNTED_THOUGH_INTERRUPTED in ended.stdout
    table = ended.stdout.partition("Federation")[2]
    assert all(len(line) <= columns for line in table.splitlines() if "noise" in line)
    assert "CANARY" not in ended.stdout


def test_reading_writes_nothing(trained: Path, state: Path) -> None:
    before = files(trained, state)
    ask(trained)
    account(trained)
    assert files(trained, state) == before


def test_no_ledger_yet_is_said_and_none_is_made(fresh: Path, state: Path) -> None:
    before = sorted(fresh.rglob("*"))
    ended = ask(fresh)
    assert ended.exit_code == 0
    assert all(part in ended.stdout for part in ("north", " 9 ", "0.0001"))
    found = account(fresh)
    assert (found["entries"], found["runs"], found["spent"]["epsilon"]) == (None, [], 0)
    assert (found["last_round"], found["further_rounds"]) == (None, None)
    assert sorted(fresh.rglob("*")) == before
    assert not state.exists()


def test_an_empty_ledger_is_told_from_none(fresh: Path) -> None:
    Ledger(fresh).close()
    empty = ask(fresh).stdout
    (fresh / LEDGER).unlink()
    for path in head_paths(fresh):
        path.unlink()
    assert ask(fresh).stdout != empty
    Ledger(fresh).close()
    assert account(fresh)["entries"] == 1


def test_further_rounds_are_those_the_ledger_would_still_grant(trained: Path) -> None:
    site_file = trained / "site.toml"
    terms = site_file.read_text()
    for granted in (0, 1):
        limit = spend([*SPENT, *[OTHER] * granted], DELTA).rdp + 1e-6
        site_file.write_text(terms.replace("maximum_epsilon = 9.0", f"maximum_epsilon = {limit}"))
        told = account(trained)["further_rounds"]
        with Ledger(trained) as ledger:
            if told:
                ledger.require("another", [OTHER] * told, Limit(limit, DELTA))
            with pytest.raises(Refusal):
                ledger.require("another", [OTHER] * (told + 1), Limit(limit, DELTA))
        assert told == granted


def test_beyond_ten_thousand_rounds_are_not_counted(fresh: Path) -> None:
    with Ledger(fresh) as ledger:
        quiet = Release(mechanism="training", noise_multiplier=1e4)
        ledger.commit(ledger.reserve(FIRST, 1, [quiet], LIMIT))
    assert "10,000" in ask(fresh).stdout
    found = account(fresh)
    assert (found["further_rounds"], found["further_rounds_are_more"]) == (10_000, True)


def test_without_privacy_there_is_no_guarantee_and_nothing_remains(fresh: Path) -> None:
    with Ledger(fresh) as ledger:
        bare = Release(mechanism="without-privacy")
        ledger.commit(ledger.reserve(FIRST, None, [bare], Limit(None, DELTA)))
    shown = ask(fresh).stdout
    assert NO_GUARANTEE in shown.splitlines()[0]
    assert release_text(bare) in shown
    found = account(fresh)
    assert found["spent"]["epsilon"] is None
    assert found["runs"][0]["rounds"] is None
    assert found["further_rounds"] == 0


def test_without_a_limit_in_the_policy_none_is_made_up(trained: Path) -> None:
    (trained / "site.toml").write_text('name = "north"\ntables = { outcomes = "o.csv" }\n')
    assert "policy.maximum_epsilon" in ask(trained).stdout
    assert account(trained)["further_rounds"] is None


def lose(site: Path) -> None:
    (site / LEDGER).unlink()


def change(site: Path) -> None:
    with sqlite3.connect(site / LEDGER) as database:
        database.execute("DROP TRIGGER entries_hold")
        database.execute("UPDATE entries SET entry = replace(entry, '4.0', '9.0') WHERE number = 4")
    database.close()


DAMAGES = [(lose, "of a cohort that has trained before is missing"), (change, "has been changed or damaged")]


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_a_lost_or_changed_ledger_is_one_sentence_with_the_remedy(
    trained: Path, damage: Any, told: str
) -> None:
    damage(trained)
    before = files(trained)
    for arguments in ((trained,), (trained, "--json")):
        ended = ask(*arguments)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"consilium: the privacy ledger {told}; ")
        assert "consilium site ledger FOLDER --acknowledge NOTE" in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert files(trained) == before


@pytest.mark.parametrize("damage", [lose, change])
def test_acknowledging_carries_the_budget_over(trained: Path, damage: Any) -> None:
    damage(trained)
    ended = ask(trained, "--acknowledge", "disk of 3 March")
    assert ended.exit_code == 0
    carried = Release(mechanism="training", noise_multiplier=4.0, steps=6)
    assert release_text(carried) in ended.stdout.splitlines()[0]
    assert "disk of 3 March" in ended.stdout
    found = account(trained)
    assert found["spent"]["epsilon"] >= spend(SPENT, DELTA).epsilon - 1e-9
    assert math.isfinite(found["spent"]["epsilon"])
    assert (found["runs"][0]["federation"], found["runs"][0]["note"]) == (None, "disk of 3 March")


def test_there_is_nothing_to_acknowledge_without_a_loss(fresh: Path, trained: Path, tmp_path: Path) -> None:
    assert ask(trained, "--acknowledge", "x").exit_code == 2
    never = tmp_path / "never"
    never.mkdir()
    (never / "site.toml").write_text((fresh / "site.toml").read_text())
    ended = ask(never, "--acknowledge", "x")
    assert ended.exit_code == 2
    assert str(never / LEDGER) in ended.stderr
    assert [path.name for path in never.iterdir()] == ["site.toml"]


def test_a_ledger_that_cannot_be_opened_is_not_called_damaged(trained: Path) -> None:
    for place in head_paths(trained):
        place.unlink()
        place.mkdir()
    ended = ask(trained)
    assert ended.exit_code == 2
    assert str(trained / LEDGER) in ended.stderr
    assert os.strerror(errno.EISDIR) in ended.stderr


def test_a_folder_without_a_site_file_is_bad_input(tmp_path: Path) -> None:
    ended = ask(tmp_path)
    assert ended.exit_code == 2
    assert str(tmp_path / "site.toml") in ended.stderr
