"""Several runs whose federation files differ in their seed are released as one ensemble."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, Federation, save
from common.errors import InputError, OptionError, StateError
from common.prediction.network import released_network
from common.release.members import PREPROCESSING, WEIGHTS
from common.release.release import read_release
from common.release.signing import read_verifying_key
from server.cli import coordinator_app
from server.commands.release import release
from server.home.places import CoordinatorHome, create_home
from server.records.journal import Journal, RunRecord
from tests.released import Coordinator

AddRun = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


@pytest.fixture
def add_run(home: CoordinatorHome, federation: Federation, tmp_path: Path) -> AddRun:
    """Writes a finished run whose federation file has another seed, and perhaps other settings."""

    def add(seed: int, status: str = "completed", **settings: str) -> Path:
        changed = federation.changed({"training.seed": str(seed), **settings})
        maker, folder = Coordinator(tmp_path / f"maker {seed}", changed), home.runs / f"seed {seed}"
        members = maker.members(seed)
        folder.mkdir()
        for member in (WEIGHTS, PREPROCESSING):
            (folder / member).write_bytes(members[member])
        save(changed, folder / FILE_NAME)
        run = RunRecord(
            status="started",
            federation=changed.name,
            digest=changed.digest,
            strategy="fedavg",
            fold=-1,
            seed=seed,
            sites=("one",),
        )
        with Journal(folder) as journal:
            journal.write(run)
            journal.write(run.model_copy(update={"status": status, "rounds": 2, "best_round": seed}))
        return folder

    return add


def test_runs_with_other_seeds_are_one_release(
    home: CoordinatorHome, add_run: AddRun, federation: Federation, tmp_path: Path
) -> None:
    folders = [add_run(seed) for seed in (3, 1, 2)]
    out = tmp_path / "1.zip"
    manifest = release(home, "seed 3", out, others=["seed 2", "seed 1"])
    made = read_release(out, read_verifying_key(home.authority, "x"))
    assert manifest.federation == federation.changed({"training.seed": "3"}).digest
    assert [(member.run, member.seed, member.kept_round) for member in made.card.others] == [
        ("seed 1", 1, 1),
        ("seed 2", 2, 2),
    ]
    assert len(released_network(made).members) == 3
    assert made.members["weights-2.safetensors"].endswith((folders[1] / WEIGHTS).read_bytes()[-100:])
    assert "3 trainings" in "\n".join(made.lines())
    release(home, "seed 3", tmp_path / "again.zip", others=["seed 1", "seed 2"])
    assert (tmp_path / "again.zip").read_bytes() == out.read_bytes()
    with pytest.raises(StateError) as refused:
        release(home, "seed 3", tmp_path / "alone.zip")
    assert "seed 2" in refused.value.remedy


def test_runs_that_make_no_ensemble_are_refused_by_name(
    home: CoordinatorHome, add_run: AddRun, tmp_path: Path
) -> None:
    for seed in (1, 2):
        add_run(seed)
    add_run(3, **{"training.rounds": "9"}), add_run(4, status="failed")
    for others, named in (
        (["seed 2"], "seed 2"),
        (["seed 2", "seed 3"], "seed 3"),
        (["seed 2", "seed 4"], "seed 4"),
        (["seed 2", "seed 2"], "--with"),
        (["seed 2", "seed 1"], "--with"),
        (["seed 2", "none"], "none"),
        ([f"seed {seed}" for seed in range(2, 20)], "--with"),
    ):
        with pytest.raises(InputError) as refused:
            release(home, "seed 1", tmp_path / "x.zip", others=others)
        assert named in str(refused.value)
    with pytest.raises(OptionError):
        release(home, "seed 1", tmp_path / "x.zip", onnx=True, others=["seed 2", "seed 3"])
    assert not (tmp_path / "x.zip").exists()
    assert not home.releases.exists()


def test_the_command_takes_the_other_runs(home: CoordinatorHome, add_run: AddRun, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        add_run(seed)
    out = tmp_path / "1.zip"
    asked = ["release", str(home.folder), "seed 1", "--with", "seed 2", "--with", "seed 3", "--out", str(out)]
    assert CliRunner().invoke(coordinator_app, asked).exit_code == 0
    assert read_release(out, read_verifying_key(home.authority, "x")).models == 3
