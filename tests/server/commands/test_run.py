import json
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.bundle import bundle_hash
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.errors import InputError, StateError
from server.commands import follow as following
from server.commands import run as submission
from server.commands.follow import FAILED, PARTIAL, follow, followed
from server.commands.run import resume_on_hospitals, run_on_hospitals
from server.home.places import CoordinatorHome, create_home
from server.home.run_lock import alone
from server.participants.enrolment import (
    Enrolment,
    Withdrawal,
    read_enrolled,
    write_enrolled,
    write_withdrawn,
)
from server.records.dropped import Dropped, DropReason
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import CheckpointRecord, Journal, JournalRecord, RoundRecord, RunRecord
from server.records.submission import read_submission

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")


def run_record(federation: Federation, status: str, **more: object) -> RunRecord:
    fields = {"federation": federation.name, "digest": federation.digest, "strategy": "fedavg"}
    return RunRecord.model_validate({**fields, "status": status, "fold": -1, "seed": 0, **more})


def round_record(number: int) -> RoundRecord:
    return RoundRecord(kind="train", round=number, seconds=1.5, training_loss=0.25, applied=True)


class Flower:
    """A SuperLink that runs a ServerApp by writing the journal it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: list[JournalRecord] = []
        self.config: dict[str, object] = {}
        self.status = "running"
        self.stopped: list[int] = []
        monkeypatch.setattr(following, "POLL_S", 0.01)
        for module in (submission, following):
            monkeypatch.setattr(module, "require_running", lambda home: None)
            monkeypatch.setattr(module, "run_status", lambda home, run: self.status)
            monkeypatch.setattr(module, "stop_run", lambda home, run: self.stopped.append(run))
        monkeypatch.setattr(submission, "connected", lambda home: frozenset())
        monkeypatch.setattr(submission, "submit", self.submit)
        monkeypatch.setattr(following, "run_log", lambda home, run: "ServerApp raised")

    def submit(self, home: CoordinatorHome, bundle: Path, run_config: Path) -> int:
        self.config = tomllib.loads(run_config.read_text())
        assert {path.name for path in bundle.iterdir()} == {"pyproject.toml", "README.md"}
        with Journal(home.runs / str(self.config["run"])) as journal:
            for record in self.records:
                journal.write(record)
        return 41


@pytest.fixture
def flower(monkeypatch: pytest.MonkeyPatch) -> Flower:
    return Flower(monkeypatch)


@pytest.fixture
def home(make_federation: Callable[..., Federation], tmp_path: Path) -> CoordinatorHome:
    (tmp_path / "federation").mkdir()
    save(make_federation(), tmp_path / "federation" / FILE_NAME)
    return create_home(tmp_path / "home", "localhost", 9443, tmp_path / "federation")


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("partial", PARTIAL), ("failed", FAILED)])
def test_the_exit_code_is_how_the_run_ended(
    flower: Flower, home: CoordinatorHome, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    federation = load(home.agreement / FILE_NAME)
    missing = Dropped(site="two", node=7, reason=DropReason.REFUSED, code="federation-mismatch")
    flower.records = [
        run_record(federation, "started", sites=("one",), left_out=(missing,)),
        round_record(1),
        run_record(federation, status, sites=("one",), rounds=1, best_round=1),
    ]
    assert run_on_hospitals(home, home.agreement, as_json=False) == code
    told = capsys.readouterr().out
    assert "1 of 2 hospitals is missing" in told
    assert "two refused (federation-mismatch): " in told
    assert "round 1 of 3: 0 hospitals in 1.5 s; training loss 0.25" in told
    assert told.count("is missing") == 1


def test_a_run_keeps_what_it_was_run_on(flower: Flower, home: CoordinatorHome) -> None:
    federation = load(home.agreement / FILE_NAME)
    flower.records = [run_record(federation, "completed")]
    run_on_hospitals(home, home.agreement, as_json=False)
    (out,) = home.runs.iterdir()
    assert load(out / FILE_NAME).digest == federation.digest
    told = json.loads((out / "run.json").read_text())
    assert (told["flower_run"], told["digest"], told["ended"]) == (41, federation.digest, "completed")
    assert told["bundle"] == bundle_hash(federation)
    assert (out / "enrolled.json").read_bytes() == home.enrolled.read_bytes()


def test_no_path_of_the_coordinator_travels(flower: Flower, home: CoordinatorHome) -> None:
    flower.records = [run_record(load(home.agreement / FILE_NAME), "completed")]
    run_on_hospitals(home, home.agreement, as_json=False)
    (out,) = home.runs.iterdir()
    assert flower.config == {"run": out.name}
    assert not any(str(home.folder).encode() in path.read_bytes() for path in (out / "bundle").iterdir())


def enrol(home: CoordinatorHome, **nodes: int) -> dict[str, Enrolment]:
    enrolled = {
        site: Enrolment(fingerprint=f"SHA256:{site}", node_id=node, since="then")
        for site, node in nodes.items()
    }
    write_enrolled(home.enrolled, enrolled)
    return enrolled


def test_a_key_that_was_withdrawn_has_no_part_even_if_the_withdrawal_was_cut_short(
    flower: Flower, home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    two = enrol(home, one=1, two=2)["two"]
    write_withdrawn(
        home.withdrawn, (Withdrawal(site="two", **two.model_dump(exclude={"public_key"}), until="now"),)
    )
    flower.records = [run_record(load(home.agreement / FILE_NAME), "completed")]
    run_on_hospitals(home, home.agreement, as_json=False)
    (out,) = home.runs.iterdir()
    assert set(read_enrolled(out / "enrolled.json")) == {"one"}
    assert "two (withdrawn)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            frozenset[int](),
            "Waiting up to 3600 s for a quorum, and once it is there up to 60 s for one, two.",
        ),
        (frozenset({1}), "Waiting up to 60 s for two."),
        (frozenset({1, 2}), None),
    ],
)
def test_how_long_a_run_waits_for_whom_is_told(
    flower: Flower,
    home: CoordinatorHome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: frozenset[int],
    told: str | None,
) -> None:
    enrol(home, one=1, two=2)
    monkeypatch.setattr(submission, "connected", lambda home: there)
    flower.records = [run_record(load(home.agreement / FILE_NAME), "completed")]
    run_on_hospitals(home, home.agreement, as_json=False)
    out = capsys.readouterr().out
    assert told in out if told is not None else "Waiting" not in out


def test_runs_of_the_same_second_have_folders_of_their_own(flower: Flower, home: CoordinatorHome) -> None:
    flower.records = [run_record(load(home.agreement / FILE_NAME), "completed")]
    for _ in range(3):
        run_on_hospitals(home, home.agreement, as_json=True)
    assert len(list(home.runs.iterdir())) == 3


def test_json_is_the_journal(
    flower: Flower, home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    federation = load(home.agreement / FILE_NAME)
    flower.records = [run_record(federation, "started"), round_record(1), run_record(federation, "completed")]
    run_on_hospitals(home, home.agreement, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["record"] for line in lines] == ["run", "round", "run"]


def test_a_run_that_flower_ended_without_a_result_has_failed(
    flower: Flower, home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "STATUS_EVERY_S", 0.0)
    flower.records, flower.status = [], "finished:failed"
    assert run_on_hospitals(home, home.agreement, as_json=False) == FAILED
    (out,) = home.runs.iterdir()
    assert (out / "run.log").read_text() == "ServerApp raised"
    assert str(out / "run.log") in capsys.readouterr().err


def test_records_are_told_as_they_come_and_a_torn_line_waits(
    flower: Flower, home: CoordinatorHome, federation: Federation, tmp_path: Path
) -> None:
    out, seen, first = tmp_path / "out", list[str](), threading.Event()

    def listen() -> None:
        for record in follow(home, out, 41):
            seen.append(record.record)
            first.set()

    listener = threading.Thread(target=listen)
    listener.start()
    with Journal(out) as journal:
        journal.write(round_record(1))
        assert first.wait(20)
        with (out / JOURNAL).open("a") as torn:
            whole = run_record(federation, "completed").model_dump_json()
            torn.write(whole[:20])
            torn.flush()
            torn.write(whole[20:] + "\n")
    listener.join(20)
    assert seen == ["round", "run"]


def test_an_interrupt_ends_the_run(
    flower: Flower, home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.commands.follow.time.sleep", interrupted)
    assert run_on_hospitals(home, home.agreement, as_json=False) == 130
    assert flower.stopped == [41]
    (out,) = home.runs.iterdir()
    assert json.loads((out / "run.json").read_text())["ended"] == "interrupted"
    assert "interrupted" in capsys.readouterr().err


def test_without_a_running_coordinator_nothing_is_written(home: CoordinatorHome) -> None:
    with pytest.raises(StateError) as refused:
        run_on_hospitals(home, home.agreement, as_json=False)
    assert refused.value.where == str(home.folder)
    assert list(home.runs.iterdir()) == []


class Resumed(Flower):
    """A SuperLink that counts submissions, and whose process of a run is not alive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.submissions = 0

    def submit(self, home: CoordinatorHome, bundle: Path, run_config: Path) -> int:
        self.submissions += 1
        return super().submit(home, bundle, run_config) + self.submissions


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch, home: CoordinatorHome) -> tuple[Resumed, Path]:
    """A run whose process was killed after its first round."""
    flower = Resumed(monkeypatch)
    federation = load(home.agreement / FILE_NAME)
    enrol(home, one=1, two=2)
    checkpoint = CheckpointRecord(steps=1, round=1, sha256="0" * 64)
    flower.records = [run_record(federation, "started", sites=("one",)), round_record(1), checkpoint]
    assert run_on_hospitals(home, home.agreement, as_json=True, detach=True) == 0
    (out,) = home.runs.iterdir()
    with alone(out, 42):
        pass
    return flower, out


def test_an_interrupted_run_is_resumed_in_its_folder_under_its_name(
    interrupted: tuple[Resumed, Path], home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    flower, out = interrupted
    flower.records = [run_record(load(home.agreement / FILE_NAME), "completed")]
    for path in (out / JOURNAL,):
        path.unlink()  # no checkpoint is there, so that the run begins anew
    capsys.readouterr()
    assert resume_on_hospitals(home, out.name, None, as_json=False) == 0
    assert list(home.runs.iterdir()) == [out]
    assert flower.config == {"run": out.name}
    assert flower.stopped == [42]  # whose process is gone, though Flower calls it running
    told = json.loads((out / "run.json").read_text())
    assert (told["flower_run"], told["earlier"], told["ended"]) == (43, [42], "completed")
    assert f"Run {out.name} goes on after 0 rounds" in capsys.readouterr().out


def test_a_run_that_cannot_be_resumed_is_left_as_it_is(
    interrupted: tuple[Resumed, Path], home: CoordinatorHome, tmp_path: Path
) -> None:
    flower, out = interrupted
    before = (out / "run.json").read_bytes()

    def refused(agreement: Path | None = None) -> None:
        with pytest.raises(InputError):
            resume_on_hospitals(home, out.name, agreement, as_json=True)
        assert flower.submissions == 1
        assert (out / "run.json").read_bytes() == before

    federation = load(home.agreement / FILE_NAME)
    other = tmp_path / "other"
    other.mkdir()
    save(federation.changed({"training.rounds": "9"}), other / FILE_NAME)
    refused(other)
    whole = (out / FILE_NAME).read_bytes()
    (out / FILE_NAME).write_bytes((other / FILE_NAME).read_bytes())
    refused()
    (out / FILE_NAME).write_bytes(whole)
    with alone(out, 42):
        refused()
    enrolled = read_enrolled(home.enrolled)
    write_enrolled(
        home.enrolled, {**enrolled, "one": enrolled["one"].model_copy(update={"fingerprint": "SHA256:x"})}
    )
    refused()
    write_enrolled(home.enrolled, enrolled)
    with Journal(out) as journal:
        journal.write(run_record(federation, "completed"))
    refused()
    with pytest.raises(InputError):
        resume_on_hospitals(home, "another", None, as_json=True)


def test_two_commands_do_not_resume_a_run_at_once(
    interrupted: tuple[Resumed, Path], home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    flower, out = interrupted
    seen: list[str] = []

    def second(*_: object) -> None:
        with pytest.raises(StateError) as refused:
            resume_on_hospitals(home, out.name, None, as_json=True)
        seen.append(refused.value.what)
        raise KeyboardInterrupt

    monkeypatch.setattr(submission, "_require_ended", second)
    with pytest.raises(KeyboardInterrupt):
        resume_on_hospitals(home, out.name, None, as_json=True)
    assert seen == ["is being resumed by another command"]
    assert flower.submissions == 1


def test_a_process_that_is_gone_ends_the_following_at_once(
    interrupted: tuple[Resumed, Path], home: CoordinatorHome, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = interrupted
    told = read_submission(out)
    assert told is not None
    capsys.readouterr()
    assert followed(home, out, told, as_json=False) == FAILED
    told = read_submission(out)
    assert told is not None
    assert told.ended == "interrupted"
    error = capsys.readouterr().err
    assert f"--resume {out.name}" in error
    assert "its round is kept" in error
