"""Predictions equal those of a run, for any number of patients of whom enough is known."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from client.data.unlabelled import UnlabelledPatients, read_files
from client.prediction.forecast import NumberForecast, OutcomeForecast, SurvivalForecast
from client.prediction.forecasts import Forecasts
from client.prediction.patients.predictor import PREDICTOR, forecasts, predict
from client.site_folder.site_file import SiteFile
from common.agreement.federation import Federation
from common.errors import InvalidContentError, MissingFileError, OptionError
from common.evaluation.predictions import SurvivalPrediction
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network, released_network
from common.release.release import read_release
from common.tasks.regression import RegressionTask
from server.records.result import TrainedModel
from simulations.families.patients import prediction as of_a_run
from tests.released import Coordinator

SITE = SiteFile(name="one", tables={})


@pytest.fixture
def network(federation: Federation, tmp_path: Path) -> Network:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    return released_network(read_release(coordinator.write(), coordinator.key.public_key()))


@pytest.fixture
def patients(make_batch: Callable[..., PatientBatch]) -> UnlabelledPatients:
    """Six patients of whom everything is measured."""
    batch = make_batch()
    seen = {name: torch.ones_like(mask) for name, mask in batch.observed.items()}
    return UnlabelledPatients(tuple("abcdef"), PatientBatch(batch.values, seen, {}, {}), ())


def test_predictions_are_bit_equal_to_the_runs(
    network: Network, patients: UnlabelledPatients, federation: Federation
) -> None:
    trained = TrainedModel(
        dict(network.weights), {name: np.asarray(a) for name, a in _packed(network).items()}
    )
    model: Any = network.model
    expected = of_a_run.predict(trained, model, federation, patients.batch)
    made = forecasts(network, patients, [3.0], "table")
    survival = expected["survival"]
    assert isinstance(survival, SurvivalPrediction)
    for row, patient in enumerate(made.patients):
        task = patient.tasks["survival"]
        assert isinstance(task, SurvivalForecast)
        assert list(task.survival) == survival.survival[row].tolist()
        assert task.risk == {"3": 1 - survival.at([3.0])[row, 0]}
        for name in ("response", "toxicity"):
            outcome, whole = patient.tasks[name], expected[name]
            assert isinstance(outcome, OutcomeForecast)
            assert list(outcome.probability.values()) == whole.probability[row].tolist()  # type: ignore[attr-defined]


def _packed(network: Network) -> dict[str, Any]:
    from common.families.registry import family_of

    return dict(family_of(network.federation).packed(network.preprocessing))


def test_a_forecast_survives_json_unchanged(network: Network, patients: UnlabelledPatients) -> None:
    made = forecasts(network, patients, [], "table")
    assert Forecasts.model_validate_json(made.model_dump_json()) == made
    assert (made.version, made.calibrated, made.use) == ("test-1", False, "research use")
    assert [patient.patient for patient in made.patients] == list("abcdef")
    lines = made.lines()
    assert "research use" in lines[0]
    assert "Calibrated at this hospital: no" in lines[0]


def test_a_horizon_beyond_the_follow_up_is_refused(network: Network, patients: UnlabelledPatients) -> None:
    made = forecasts(network, patients, [], "table")
    task = made.patients[0].tasks["survival"]
    assert isinstance(task, SurvivalForecast)
    end = task.times[-1]
    assert all(float(horizon) <= end for horizon in task.risk)
    assert forecasts(network, patients, [end], "table")
    for horizon in (end + 1, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError):
            forecasts(network, patients, [horizon], "table")


def test_the_median_is_where_the_curve_falls_to_a_half(
    network: Network, patients: UnlabelledPatients
) -> None:
    survival = predict(network, patients.batch)["survival"]
    assert isinstance(survival, SurvivalPrediction)
    for row, patient in enumerate(forecasts(network, patients, [], "table").patients):
        task = patient.tasks["survival"]
        assert isinstance(task, SurvivalForecast)
        if task.median is None:
            assert task.survival[-1] > 0.5
        else:
            assert survival.at([task.median])[row, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("seen", [(), ("sex",), ("GENE0", "GENE1", "i1")])
def test_too_little_of_a_patient_is_refused_without_a_name(network: Network, seen: tuple[str, ...]) -> None:
    genes = {f"GENE{index}": [0.5, None] for index in range(12)}
    whole = {
        "clinical": pd.DataFrame({"age": [50, None], "sex": ["f", None]}, index=["a", "CANARY"]),
        "rna": pd.DataFrame(genes, index=["a", "CANARY"]).astype(float),
        "imaging": pd.DataFrame({f"i{n}": [1.0, None] for n in range(1, 5)}, index=["a", "CANARY"]),
    }
    for table in whole.values():
        for column in set(table) & set(seen):
            table[column] = table[column].ffill()
    if "sex" in seen:  # half of the clinical columns, which is enough
        assert len(PREDICTOR.predict_frames(network, whole, SITE, []).patients) == 2
        return
    with pytest.raises(InvalidContentError) as error:
        PREDICTOR.predict_frames(network, whole, SITE, [])
    assert "CANARY" not in str(error.value)
    assert (
        len(PREDICTOR.predict_frames(network, {n: t[:1] for n, t in whole.items()}, SITE, []).patients) == 1
    )


def test_a_number_is_forecast_in_its_unit_and_has_no_horizon(federation: Federation, tmp_path: Path) -> None:
    task = RegressionTask(name="score", target="score", low=0, high=50, unit="months")
    coordinator = Coordinator(tmp_path / "numbers", federation.model_copy(update={"tasks": (task,)}))
    network = released_network(read_release(coordinator.write(), None))
    table = pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])
    made = PREDICTOR.predict_frames(network, {"clinical": table}, SITE, []).patients[0].tasks["score"]
    with pytest.raises(OptionError):
        PREDICTOR.predict_frames(network, {"clinical": table}, SITE, [1.0])
    (explained,) = (
        PREDICTOR.predict_frames(network, {"clinical": table}, SITE, [], True).patients[0].explanations
    )
    assert (explained.scale, explained.horizon) == ("months", None)
    assert explained.patient - explained.mean == pytest.approx(explained.modalities["clinical"], rel=0.02)
    assert isinstance(made, NumberForecast)
    assert made.unit == "months"
    assert 0 <= made.value <= 50


def test_predictions_are_explained_where_that_is_asked(
    network: Network, patients: UnlabelledPatients
) -> None:
    plain = forecasts(network, patients, [], "table")
    made = forecasts(network, patients, [], "table", explain=True)
    assert all(patient.explanations == () for patient in plain.patients)
    for before, patient in zip(plain.patients, made.patients, strict=True):
        assert patient.model_copy(update={"explanations": ()}) == before
        assert [each.task for each in patient.explanations] == ["survival", "response", "toxicity"]
        survival = patient.tasks["survival"]
        assert isinstance(survival, SurvivalForecast)
        (horizon, risk) = list(survival.risk.items())[-1]
        assert f"{patient.explanations[0].horizon:g}" == horizon
        assert patient.explanations[0].patient == pytest.approx(np.log(-np.log(1 - risk)), abs=1e-4)
    both = forecasts(network, patients, [2.0, 1.0], "table", explain=True).patients[0].explanations
    assert [each.horizon for each in both] == [1.0, 2.0, None, None]
    assert Forecasts.model_validate_json(made.model_dump_json()) == made


def test_tables_are_found_by_their_names(federation: Federation, tmp_path: Path) -> None:
    site = SiteFile(name="one", tables={"rna": "omics/expression.parquet", "outcomes": "outcomes.csv"})
    folder = tmp_path / "site"
    (folder / "omics").mkdir(parents=True)
    for name in ("omics/expression.parquet", "clinical.csv", "rna.csv", "outcomes.csv", "notes.txt"):
        (folder / name).touch()
    found = PREDICTOR.files([folder], site, federation)
    assert found == {"rna": folder / "omics/expression.parquet", "clinical": folder / "clinical.csv"}
    single = [folder / "omics/expression.parquet", folder / "clinical.csv"]
    assert PREDICTOR.files(single, site, federation) == found
    for given in ([folder / "notes.txt"], [tmp_path], [tmp_path / "none.csv"]):
        with pytest.raises(MissingFileError):
            PREDICTOR.files(given, site, federation)
    with pytest.raises(OptionError):
        PREDICTOR.files([folder, folder / "rna.csv"], site, federation)


def test_a_folder_never_stands_for_a_table_outside_of_it(federation: Federation, tmp_path: Path) -> None:
    ours, new = tmp_path / "ours", tmp_path / "new"
    for folder in (ours, new):
        folder.mkdir()
        (folder / "cohort.csv").touch()
    for named in (str(ours / "cohort.csv"), "../ours/cohort.csv"):
        site = SiteFile(name="one", tables={"clinical": named})
        assert PREDICTOR.files([new], site, federation) == {"clinical": new / "cohort.csv"}


def test_horizons_close_to_one_another_are_all_answered(network: Network) -> None:
    table = pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])
    asked = [1.00000001, 1.00000002]
    made = PREDICTOR.predict_frames(network, {"clinical": table}, SITE, asked).patients[0].tasks["survival"]
    assert isinstance(made, SurvivalForecast)
    assert [float(horizon) for horizon in made.risk] == asked


def test_the_end_that_a_refusal_names_can_be_asked_for(network: Network) -> None:
    table = {"clinical": pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])}
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    cuts = {name: torch.nextafter(cut * 1.23456, cut) for name, cut in prepared.cuts.items()}
    longer = replace(network, preprocessing=replace(prepared, cuts=cuts))
    with pytest.raises(OptionError) as refusal:
        PREDICTOR.predict_frames(longer, table, SITE, [1e6])
    end = float(refusal.value.what.rpartition("ends at ")[2].split()[0])
    assert len(PREDICTOR.predict_frames(longer, table, SITE, [end]).patients) == 1


def test_tables_of_a_mapping_are_those_of_modalities(network: Network) -> None:
    table = pd.DataFrame({"age": [50.0], "sex": ["f"]}, index=["a"])
    assert PREDICTOR.predict_frames(network, {"clinical": table}, SITE, []).patients[0].patient == "a"
    for wrong in (table, {"clincal": table}):
        with pytest.raises(OptionError):
            PREDICTOR.predict_frames(network, wrong, SITE, [])


def test_files_of_one_patient_give_the_same_as_a_table(network: Network, tmp_path: Path) -> None:
    table = pd.DataFrame({"patient": ["007"], "age": [0.25], "sex": ["m"]})
    table.to_csv(tmp_path / "clinical.csv", index=False)
    files = {"clinical": tmp_path / "clinical.csv"}
    made = PREDICTOR.predict_files(network, files, SITE, [])
    assert made == PREDICTOR.predict_frames(network, {"clinical": table}, SITE, [])
    assert made.patients[0].patient == "007"
    assert made.patients[0].observed == {"clinical": 1.0, "rna": 0.0, "protein": 0.0, "imaging": 0.0}
    assert len(read_files(files, SITE, network.federation).batch) == 1  # type: ignore[arg-type]


def test_performance_counts_labelled_patients_and_events(
    network: Network, make_batch: Callable[..., PatientBatch]
) -> None:
    batch = make_batch(40)
    survival, response, _ = PREDICTOR.performance(network, batch)
    labelled = batch.labelled["survival"].all(1)
    assert survival.counts["labelled"] == int(labelled.sum())
    assert survival.counts["events"] == int(batch.labels["survival"][labelled][:, 1].sum())
    assert survival.value is not None
    assert 0 <= survival.value <= 1
    assert (survival.metric, response.metric) == ("C-index", "AUROC")
    nobody = batch.select(torch.zeros(40, dtype=torch.bool))
    assert [task.value for task in PREDICTOR.performance(network, nobody.padded(1))] == [None] * 3


def test_an_ensemble_predicts_the_mean_of_its_members(network: Network, patients: UnlabelledPatients) -> None:
    other = replace(network, model=_jittered(network))
    third = replace(network, model=_jittered(other))
    ensemble = replace(network, others=(other, third))
    made = forecasts(ensemble, patients, [3.0], "table", explain=True)
    alone = [forecasts(member, patients, [3.0], "table") for member in (network, other, third)]
    assert made.models == 3
    assert "3 trainings" in made.lines()[0]
    for row, patient in enumerate(made.patients):
        members: Any = [single.patients[row].tasks for single in alone]
        tasks: Any = patient.tasks
        risks = [member["survival"].risk["3"] for member in members]
        assert tasks["survival"].risk["3"] == pytest.approx(np.mean(risks))
        for name, share in tasks["response"].probability.items():
            assert share == pytest.approx(np.mean([m["response"].probability[name] for m in members]))
        assert all(explanation.agreement is not None for explanation in patient.explanations)


def _jittered(network: Network) -> Any:
    model = deepcopy(network.model)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=draw))
    return model
