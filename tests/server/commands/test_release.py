"""A finished run becomes a signed file with a version that only grows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, Federation
from common.errors import InputError, IntegrityError, OptionError, StateError, UnreadableFileError
from common.release.members import ONNX, PREPROCESSING, WEIGHTS
from common.release.release import ModelRelease, read_release
from common.release.signing import read_verifying_key
from server.cli import coordinator_app
from server.commands.release import release, revoke
from server.home.places import CoordinatorHome, create_home
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord
from server.records.releases import read_releases
from tests.released import Coordinator

AddRun = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


@pytest.fixture
def add_run(home: CoordinatorHome, federation: Federation, tmp_path: Path) -> AddRun:
    """Writes a run of two rounds into the home."""

    def add(name: str, seed: int = 0, status: str = "completed", digest: str = federation.digest) -> Path:
        maker, folder = Coordinator(tmp_path / "maker", federation), home.runs / name
        members = maker.members(seed)
        folder.mkdir()
        for member in (WEIGHTS, PREPROCESSING):
            (folder / member).write_bytes(members[member])
        (folder / FILE_NAME).write_bytes((maker.folder / FILE_NAME).read_bytes())
        site = SiteRecord(patients={"patients": 25.0}, metrics={})
        run = RunRecord(
            status="started",
            federation=federation.name,
            digest=digest,
            strategy="fedavg",
            fold=-1,
            seed=0,
            sites=("two", "one"),
        )
        end = {"status": status, "rounds": 2, "best_round": 2, "best_loss": 0.5}
        with Journal(folder) as journal:
            journal.write(run)
            judged = SiteRecord(metrics={"comparable:survival": 21.0, "validation_patients": 7.0})
            for kind, number in (("train", 1), ("train", 2), ("evaluate", 3)):
                sites = {"one": site, "two": site} if kind == "train" else {"one": judged, "two": judged}
                record = {"kind": kind, "round": number, "sites": sites, "seconds": 1, "applied": True}
                journal.write(RoundRecord(**record, concordance={"survival": 0.5 + number / 10}))
            journal.write(run.model_copy(update=end))
        return folder

    return add


def read(home: CoordinatorHome, file: Path) -> ModelRelease:
    return read_release(file, read_verifying_key(home.authority, "x"))


def test_versions_grow_and_name_their_parent(home: CoordinatorHome, add_run: AddRun, tmp_path: Path) -> None:
    add_run("first"), add_run("second", seed=1)
    first = release(home, "first", tmp_path / "1.zip")
    second = release(home, "second", tmp_path / "2.zip")
    assert (first.version, second.version, first.parent) == ("test-1", "test-2", None)
    assert second.parent is not None
    assert (second.parent.version, second.parent.sha256) == ("test-1", first.sha256)
    assert read(home, tmp_path / "2.zip").manifest == second


def test_the_same_run_gives_the_same_file_whatever_came_since(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    for number, name in enumerate(("first", "second")):
        add_run(name, seed=number)
    for file, run in (("1.zip", "first"), ("2.zip", "second"), ("again.zip", "first")):
        release(home, run, tmp_path / file)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    assert len(read_releases(home.releases).released) == 2


def test_the_card_tells_of_the_run(home: CoordinatorHome, add_run: AddRun, tmp_path: Path) -> None:
    add_run("first")
    release(home, "first", tmp_path / "1.zip")
    card = read(home, tmp_path / "1.zip").card
    assert (card.hospitals, card.records, card.rounds, card.kept_round) == (("one", "two"), 50, 2, 2)
    survival = next(task for task in card.tasks if task.name == "survival")
    assert (survival.concordance, survival.pairs) == (0.8, 42)
    # noise 2 times 6 pairs of one patient times the root of two counts for each of three tasks, at two hospitals
    assert survival.noise == pytest.approx((1 + 0.8**2) ** 0.5 * 2 * 6 * 6**0.5 * 2**0.5 / 42)
    assert card.inputs == {"clinical": 2, "rna": 12, "protein": 3, "imaging": 4}
    assert (card.validation_loss, card.use, card.private) == (0.5, "research use", False)
    assert (card.validated, card.software) == (14, None)


def test_a_run_without_a_model_or_of_another_file_is_refused(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    add_run("failed", status="failed"), add_run("begun", status="started"), add_run("other", digest="0" * 64)
    (home.runs / "empty").mkdir()
    for run, kind in (("failed", StateError), ("begun", StateError), ("other", IntegrityError)):
        with pytest.raises(kind):
            release(home, run, tmp_path / "x.zip")
    for run in ("empty", "none", "../runs/failed"):
        with pytest.raises(InputError):
            release(home, run, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
    assert not home.releases.exists()


def test_a_run_that_was_changed_since_is_refused(
    home: CoordinatorHome, add_run: AddRun, federation: Federation, tmp_path: Path
) -> None:
    folder = add_run("first")
    release(home, "first", tmp_path / "1.zip")
    other = Coordinator(tmp_path / "other", federation).members(seed=5)
    (folder / WEIGHTS).write_bytes(other[WEIGHTS])
    with pytest.raises(IntegrityError):
        release(home, "first", tmp_path / "again.zip")
    (folder / WEIGHTS).write_bytes(other[PREPROCESSING])
    with pytest.raises(InputError):
        release(home, "first", tmp_path / "again.zip")
    assert not (tmp_path / "again.zip").exists()


def test_no_file_of_the_coordinator_is_replaced(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    folder = add_run("first")
    weights = (folder / WEIGHTS).read_bytes()
    for out in (folder / WEIGHTS, home.authority_key, tmp_path):
        before = out.read_bytes() if out.is_file() else b""
        with pytest.raises(OptionError):
            release(home, "first", out)
        assert out.is_dir() or out.read_bytes() == before
    assert (folder / WEIGHTS).read_bytes() == weights
    assert not home.releases.exists()


def test_a_revoked_release_is_named_by_the_next_and_not_made_again(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    add_run("first"), add_run("second", seed=1)
    release(home, "first", tmp_path / "1.zip")
    with pytest.raises(OptionError):
        revoke(home, "test-2")
    assert revoke(home, "test-1").revoked == revoke(home, "test-1").revoked == ("test-1",)
    with pytest.raises(StateError):
        release(home, "first", tmp_path / "1.zip")
    assert release(home, "second", tmp_path / "2.zip").revoked == ("test-1",)


def test_a_run_is_released_with_or_without_its_onnx_twin_and_never_both(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = b"a twin"  # the exporter takes half a minute; tests/common/export has the real one
    monkeypatch.setattr("common.export.onnx_twin.onnx_content", lambda network: twin)
    add_run("first"), add_run("second")
    assert ONNX in release(home, "first", tmp_path / "1.zip", onnx=True).members
    assert read(home, tmp_path / "1.zip").members[ONNX] == twin
    with pytest.raises(StateError):
        release(home, "first", tmp_path / "2.zip")
    assert ONNX not in release(home, "second", tmp_path / "2.zip").members
    with pytest.raises(StateError):
        release(home, "second", tmp_path / "2.zip", onnx=True)


def test_a_damaged_record_gives_no_version_twice(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    add_run("first")
    home.releases.write_text('{"released": [')
    with pytest.raises(UnreadableFileError):
        release(home, "first", tmp_path / "1.zip")


def test_the_commands_print_the_version(home: CoordinatorHome, add_run: AddRun, tmp_path: Path) -> None:
    add_run("first")
    asked = ["release", str(home.folder), "first", "--out", str(tmp_path / "1.zip"), "--json"]
    ended = CliRunner().invoke(coordinator_app, asked)
    assert (ended.exit_code, json.loads(ended.stdout)["version"]) == (0, "test-1")
    assert CliRunner().invoke(coordinator_app, ["revoke", str(home.folder), "test-1"]).exit_code == 0
    assert CliRunner().invoke(coordinator_app, asked).exit_code == 2
