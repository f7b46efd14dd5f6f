"""Models loaded from the folders of finished runs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

import consilium
from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.errors import InputError, OptionError
from common.patients.preprocessing import Preprocessing
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.release.members import CALIBRATION
from server.records.result import PREPROCESSING, WEIGHTS, load_result
from simulations.families.patients.prediction import predict as of_a_run
from tests.released import Coordinator


def test_a_finished_run_gives_its_model(finished: tuple[consilium.Result, Path]) -> None:
    _, out = finished
    loaded = consilium.load_model(str(out))
    assert loaded.federation == load(out / FILE_NAME)
    weights = load_file(out / WEIGHTS)
    assert loaded.weights.keys() == weights.keys()
    assert all(
        torch.equal(tensor, torch.from_numpy(weights[name]))
        for name, tensor in loaded.model.state_dict().items()
    )
    assert not loaded.model.training
    assert isinstance(loaded.preprocessing, Preprocessing)
    assert loaded.preprocessing.center.keys() == {each.name for each in load(out / FILE_NAME).modalities}
    assert loaded.federation.name in repr(loaded)


def _edited(name: str, edit: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        arrays = load_file(folder / name)
        edit(arrays)
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / name)

    return spoil


def _other_width(folder: Path) -> None:
    save(load(folder / FILE_NAME).changed({"model.width": "16"}), folder / FILE_NAME)


def _first(arrays: dict[str, np.ndarray]) -> str:
    return min(arrays)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / FILE_NAME).unlink(),
        lambda folder: (folder / WEIGHTS).write_bytes(b"spoilt"),
        _other_width,
        _edited(WEIGHTS, lambda arrays: arrays.pop(_first(arrays))),
        _edited(WEIGHTS, lambda arrays: arrays.update(extra=np.zeros(2, np.float32))),
        _edited(WEIGHTS, lambda arrays: arrays.update({_first(arrays): np.zeros((1, 1), np.float32)})),
        _edited(WEIGHTS, lambda arrays: arrays[_first(arrays)].fill(np.inf)),
        _edited(WEIGHTS, lambda arrays: arrays.update({k: v.astype(np.float64) for k, v in arrays.items()})),
        _edited(PREPROCESSING, lambda arrays: arrays.pop(_first(arrays))),
        _edited(PREPROCESSING, lambda arrays: arrays[_first(arrays)].fill(np.nan)),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    finished: tuple[consilium.Result, Path], tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    shutil.copytree(finished[1], tmp_path / "run")
    spoil(tmp_path / "run")
    with pytest.raises(InputError):
        consilium.load_model(tmp_path / "run")


def test_a_run_predicts_as_its_own_evaluation_did(
    finished: tuple[consilium.Result, Path], written_cohort: Path
) -> None:
    _, out = finished
    loaded: Any = consilium.load_model(out)
    federation = load(out / FILE_NAME)
    cohort = read_cohort(written_cohort / "hospital-1", federation)
    expected: Any = of_a_run(load_result(out), loaded.model, federation, cohort.batch)["survival"]
    made = loaded.predict(written_cohort / "hospital-1")
    assert len(made.patients) == len(cohort.batch)
    curves = [patient.tasks["survival"].survival for patient in made.patients]
    assert np.array_equal(np.array(curves), expected.survival)
    assert (made.version, made.federation) == (None, federation.digest)


def test_a_release_is_loaded_and_verified(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    file = coordinator.write()
    loaded: Any = consilium.load_model(file, key=coordinator.authority)
    assert loaded.version == "test-1"
    assert "test-1" in repr(loaded)
    table = pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])
    made = loaded.predict({"clinical": table}, horizons=[2])
    assert made.patients[0].tasks["survival"].risk.keys() == {"2"}
    assert consilium.load_model(str(file)).predict({"clinical": table}, horizons=[2]) == made
    explained = loaded.predict({"clinical": table}, horizons=[2], explain=True).patients[0]
    assert explained.tasks == made.patients[0].tasks
    assert [each.horizon for each in explained.explanations] == [2.0, None, None]
    stranger = Coordinator(tmp_path / "stranger", federation)
    with pytest.raises(InputError):
        consilium.load_model(file, key=stranger.authority)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError):
        consilium.load_model(file)
    with pytest.raises(InputError):
        consilium.load_model(tmp_path / "none.zip", key=coordinator.authority)


def test_a_hospital_is_predicted_by_its_own_level(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    pooled = LevelRow(level=0.2, error=0.1, patients=90, observed=40.0, before=30.0, after=40.0)
    made = OutcomeCalibration(
        events=40, pooled=pooled, hospitals={"one": pooled.model_copy(update={"level": 0.9})}
    )
    table = CalibrationTable(tasks={"survival": {"event": made}})
    members = coordinator.members() | {CALIBRATION: table.content()}
    (tmp_path / "x.zip").write_bytes(coordinator.made(members=members)[1])
    loaded: Any = consilium.load_model(tmp_path / "x.zip")
    patients = {"clinical": pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])}
    hazards = {}
    for hospital in ("one", "another", None):
        forecast = loaded.predict(patients, hospital=hospital).patients[0]
        hazards[hospital] = -np.log(forecast.tasks["survival"].survival[0])
    assert hazards["one"] / hazards[None] == pytest.approx(np.exp(0.7))
    assert hazards["another"] == hazards[None]
    assert loaded.predict(patients, hospital="one").calibration["survival"].yes
    for name in ("", "a\nb"):
        with pytest.raises(InputError):
            loaded.predict(patients, hospital=name)


def test_a_key_is_never_left_unused(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    release = coordinator.write()
    release.unlink()
    shutil.copytree(coordinator.folder, tmp_path / release.name)
    with pytest.raises(OptionError):
        consilium.load_model(tmp_path / release.name, key=coordinator.authority)


def test_what_is_no_table_or_no_time_is_refused(federation: Federation, tmp_path: Path) -> None:
    model: Any = consilium.load_model(Coordinator(tmp_path / "coordinator", federation).write())
    tables: list[Any] = [[], {}, None, 3, np.ones((2, 2)), {"clinical": 3}, [{"patient": "a"}]]
    for wrong in tables:
        with pytest.raises(OptionError):
            model.predict(wrong)
    table = {"clinical": pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])}
    times: list[Any] = [3, None, ["soon"], "later"]
    for horizons in times:
        with pytest.raises(OptionError):
            model.predict(table, horizons=horizons)
    assert len(model.predict(table, horizons=np.array([1.0, 2.0])).patients) == 1


def test_runs_with_other_seeds_are_loaded_as_an_ensemble(
    finished: tuple[consilium.Result, Path], tmp_path: Path, written_cohort: Path
) -> None:
    folders = []
    for seed in (0, 1, 2):
        folders.append(tmp_path / f"seed{seed}")
        shutil.copytree(finished[1], folders[-1])
        agreed = load(folders[-1] / FILE_NAME).changed({"training.seed": str(seed)})
        save(agreed, folders[-1] / FILE_NAME)
        weights = load_file(folders[-1] / WEIGHTS)
        save_file({name: array * (1 + seed) for name, array in weights.items()}, folders[-1] / WEIGHTS)
    made: Any = consilium.load_model(folders).predict(written_cohort / "hospital-1")
    alone: Any = [consilium.load_model(folder).predict(written_cohort / "hospital-1") for folder in folders]
    assert made.models == 3
    for row, patient in enumerate(made.patients):
        curves = [one.patients[row].tasks["survival"].survival for one in alone]
        assert patient.tasks["survival"].survival == pytest.approx(np.mean(curves, axis=0).tolist())
    for wrong in (folders[:2], [*folders, folders[0]], [], [folders[0], Path("none"), Path("nowhere")]):
        with pytest.raises(InputError):
            consilium.load_model(wrong)
    with pytest.raises(OptionError):
        consilium.load_model(folders, key="ca.crt")
