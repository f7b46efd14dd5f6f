"""Runs that go on by themselves are followed, cancelled and told apart by their folder alone."""

import json
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, load
from common.errors import StateError
from server.commands import attach as attaching
from server.commands.attach import attach, cancel, interrupted_run
from server.commands.follow import PARTIAL, latest_of, state_of
from server.commands.run import run_on_hospitals
from server.home.places import CoordinatorHome
from server.home.run_lock import alone
from server.records.journal import Journal
from server.records.submission import read_submission
from tests.server.commands.test_run import Flower, flower, home, round_record, run_record

__all__ = ["flower", "home"]


@pytest.fixture
def out(flower: Flower, home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that goes on by itself, of which a round is done."""
    monkeypatch.setattr(attaching, "require_running", lambda home: None)
    monkeypatch.setattr(attaching, "stop_run", lambda home, run: flower.stopped.append(run))
    flower.records = [run_record(load(home.agreement / FILE_NAME), "started"), round_record(1)]
    assert run_on_hospitals(home, home.agreement, as_json=True, detach=True) == 0
    (folder,) = home.runs.iterdir()
    return folder


def state(out: Path) -> str:
    return state_of(out, latest_of(out), read_submission(out))


def test_a_detached_run_says_how_to_follow_it(
    flower: Flower, home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_on_hospitals(home, home.agreement, as_json=False, detach=True) == 0
    (folder,) = home.runs.iterdir()
    assert f"attach {home.folder} {folder.name}" in capsys.readouterr().out
    assert flower.stopped == []


def test_a_run_is_followed_from_its_first_record_to_its_end(
    out: Path, home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(out) as journal:
        journal.write(run_record(load(home.agreement / FILE_NAME), "partial"))
    capsys.readouterr()
    assert attach(home, None, as_json=True) == PARTIAL
    lines = [json.loads(line)["record"] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["run", "round", "run"]
    assert state(out) == "partial"


def test_leaving_a_run_does_not_end_it(
    flower: Flower, out: Path, home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.commands.follow.time.sleep", interrupted)
    with alone(out, 41):
        assert attach(home, out.name, as_json=False) == 130
        assert state(out) == "started"
    assert flower.stopped == []


def test_a_cancelled_run_is_ended_once_and_is_not_followed(
    flower: Flower, out: Path, home: CoordinatorHome
) -> None:
    with alone(out, 41):
        assert cancel(home, None) == out
    assert flower.stopped == [41]
    assert state(out) == "cancelled"
    with pytest.raises(StateError):
        cancel(home, out.name)
    with pytest.raises(StateError):
        attach(home, out.name, as_json=False)
    assert flower.stopped == [41]


def test_how_far_a_run_is_follows_from_its_folder(out: Path, home: CoordinatorHome) -> None:
    assert state(out) == "started"
    with alone(out, 41):
        assert state(out) == "started"
        assert interrupted_run(home) is None
    assert state(out) == "interrupted"
    sentence = interrupted_run(home)
    assert sentence is not None
    assert f"--resume {out.name}" in sentence
    with Journal(out) as journal:
        journal.write(run_record(load(home.agreement / FILE_NAME), "failed"))
    assert state(out) == "failed"
    told = read_submission(out)
    assert told is not None
    told.model_copy(update={"flower_run": 50, "earlier": (41,)}).write(out)
    assert state(out) == "waiting"
    with alone(out, 50):
        assert state(out) == "started"
