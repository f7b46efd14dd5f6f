"""Experiments that are cut off and go on, and finished ones that get more rounds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consilium
from client.ledger.ledger import LEDGER
from common.errors import InputError, IntegrityError
from common.sealed_json import sealed, unsealed
from server.records.journal import FILE_NAME
from server.records.result import PREPROCESSING, WEIGHTS
from server.runs.checkpoint import STATE
from server.runs.state import RunState
from simulations.cohorts.cohort_folder import open_cohort
from simulations.experiment.checkpoint import DESCRIPTION
from simulations.experiment.finished_runs import FINISHED
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import CHECKPOINT
from simulations.experiment.site_snapshots import SimulationCheckpoint
from simulations.simulate import simulate
from tests.conftest import draw_anew_a_few_times, draw_no_report

SmallCohort = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("few_draws", "no_report")


def cut_off_after(states: int, patch: pytest.MonkeyPatch) -> None:
    """Have the process interrupted as soon as so many states were written."""
    left = [states]
    write = SimulationCheckpoint.write

    def interrupted(self: SimulationCheckpoint, state: RunState) -> None:
        write(self, state)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    patch.setattr(SimulationCheckpoint, "write", interrupted)


def cut_off(cohort: Path, out: Path, states: int, **options: Any) -> str:
    """Interrupt a simulation, and return what the interruption says."""
    with pytest.MonkeyPatch.context() as patch:
        cut_off_after(states, patch)
        with pytest.raises(KeyboardInterrupt) as interruption:
            consilium.simulate(cohort, out=out, **options)
    assert {path.name for path in out.iterdir()} == {CHECKPOINT}
    return str(interruption.value)


def go_on(cohort: Path, **options: Any) -> None:
    """Resume an experiment with options that are given anew."""
    with open_cohort(cohort) as opened:
        simulate(opened, ExperimentOptions(resume=True, **options))


def figures(result: consilium.Result) -> dict[str, Any]:
    record = result.record.model_dump(
        mode="json", exclude={"date", "seconds", "peak_memory_mb", "command", "folds"}
    )
    return record | {
        "folds": [fold.model_dump(exclude={"seconds_per_round"}) for fold in result.record.folds]
    }


@pytest.mark.usefixtures("networks_only")
@pytest.mark.parametrize(
    ("states", "options"),
    [
        (2, {}),
        (6, {"folds": 2}),
        (2, {"settings": {"training.strategy": "fedadam", "wire.update": "int8"}}),
        (7, {"federated_only": False}),
    ],
)
def test_a_simulation_that_was_cut_off_ends_with_the_same_weights_and_figures(
    small_cohort: SmallCohort, tmp_path: Path, states: int, options: dict[str, Any]
) -> None:
    cohort, out = small_cohort(tasks=["survival"]), tmp_path / "out"
    asked: dict[str, Any] = (
        {"federated_only": True, "engine": "serial"} | ({} if "folds" in options else {"fold": 0}) | options
    )
    whole = consilium.simulate(cohort, out=tmp_path / "whole", **asked)
    assert str(out) in cut_off(cohort, out, states, **asked)
    result = consilium.resume(out)
    assert (out / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert figures(result) == figures(whole)


@pytest.mark.usefixtures("networks_only")
def test_a_private_run_that_was_cut_off_pays_for_no_round_twice(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    asked: dict[str, Any] = {"fold": 0, "epsilons": (8.0,), "delta": 0.05, "federated_only": True}
    cut_off(cohort, tmp_path / "out", 6, engine="serial", **asked)
    (run,) = consilium.resume(tmp_path / "out").record.privacy
    whole = consilium.simulate(cohort, engine="serial", **asked).record.privacy[0]
    assert run.spent == whole.spent
    assert consilium.resume(tmp_path / "out").record.privacy[0].spent == whole.spent
    with pytest.raises(InputError):
        consilium.resume(tmp_path / "out", rounds=5)


@pytest.fixture(scope="module")
def finished(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    cohort = out.parent / "cohort"
    shutil.copytree(written_cohort, cohort)
    with pytest.MonkeyPatch.context() as patch:
        draw_anew_a_few_times(patch)
        draw_no_report(patch)
        consilium.simulate(cohort, out=out, fold=0, federated_only=True, engine="serial")
    return out


def test_a_finished_simulation_gets_more_rounds(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "out")
    result = consilium.resume(tmp_path / "out", rounds=4)
    assert [fold.rounds for fold in result.record.folds] == [4]
    history = result.history().reset_index()
    assert history["round"].tolist() == [1, 2, 3, 3, 4, 5]
    assert consilium.load_model(tmp_path / "out").federation.training.rounds == 4
    assert figures(consilium.resume(tmp_path / "out")) == figures(result)
    with pytest.raises(InputError):
        consilium.resume(tmp_path / "out", rounds=3)


def _flip_arrays(out: Path) -> None:
    (path,) = (out / CHECKPOINT / "federated" / "fold0" / "state").glob("arrays-*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _cut_description(out: Path) -> None:
    (out / CHECKPOINT / DESCRIPTION).write_text("{")


def _other_version(out: Path) -> None:
    path = out / CHECKPOINT / DESCRIPTION
    path.write_bytes(
        sealed(json.dumps(json.loads(unsealed(path.read_bytes())) | {"package": "0.0.1"}).encode())
    )


def _nothing(out: Path) -> None:
    shutil.rmtree(out / CHECKPOINT)


@pytest.mark.parametrize("spoil", [_flip_arrays, _cut_description, _other_version, _nothing])
def test_what_cannot_go_on_is_refused(finished: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    shutil.copytree(finished, tmp_path / "out")
    spoil(tmp_path / "out")
    with pytest.raises(InputError):
        consilium.resume(tmp_path / "out")


@pytest.mark.usefixtures("networks_only")
def test_any_changed_file_of_a_checkpoint_is_refused(small_cohort: SmallCohort, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"fold": 0, "epsilons": (8.0,), "delta": 0.05, "engine": "serial"}
    asked |= {"federated_only": True}
    out = tmp_path / "out"
    consilium.simulate(small_cohort(tasks=["survival"]), out=out, **asked)
    files = [path for path in (out / CHECKPOINT).rglob("*") if path.is_file()]
    kinds = {path.name for path in files}
    assert {DESCRIPTION, STATE, FINISHED, FILE_NAME, WEIGHTS, PREPROCESSING, LEDGER.name} <= kinds
    for path in sorted(files):
        before = path.read_bytes()
        changed = bytearray(before)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(IntegrityError):
            consilium.resume(out)
        assert path.read_bytes() == changed
        path.write_bytes(before)
    consilium.resume(out)


def test_changed_tables_and_other_settings_are_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished.parent, tmp_path / "all")
    cohort, out = tmp_path / "all" / "cohort", tmp_path / "all" / "out"
    path = out / CHECKPOINT / DESCRIPTION
    described = json.loads(unsealed(path.read_bytes()))
    described["origin"]["cohort"] = str(cohort)
    path.write_bytes(sealed(json.dumps(described).encode()))
    asked: dict[str, Any] = {"out": out, "fold": 0, "federated_only": True}
    for other in (
        {"seed": 7},
        {"fold": 1},
        {"federated_only": False},
        {"settings": {"training.patience": 1}},
    ):
        with pytest.raises(InputError):
            go_on(cohort, **(asked | other))
    table = cohort / "hospital-1" / "clinical.csv"
    table.write_text(table.read_text() + "\n")
    with pytest.raises(InputError):
        consilium.resume(out)


def test_an_unfinished_simulation_is_not_overwritten(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"])
    asked: dict[str, Any] = {"fold": 0, "federated_only": True, "engine": "serial"}
    cut_off(cohort, tmp_path / "out", 1, **asked)
    with pytest.raises(InputError):
        consilium.simulate(cohort, out=tmp_path / "out", **asked)
    with pytest.raises(InputError):
        consilium.resume(tmp_path / "out", rounds=9)
    go_on(cohort, out=tmp_path / "out", **asked)
    assert (tmp_path / "out" / "result.json").is_file()
