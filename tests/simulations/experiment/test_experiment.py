"""The experiment itself: arms that are fair to one another, and hospitals that cannot do everything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import REFUSALS, InvalidContentError, OptionError, RefusalCode
from common.evaluation.predictions import SurvivalPrediction
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.tasks.task import OutcomeForm, Task
from server.records.journal import RoundRecord
from simulations.cohorts.folders import find_sites
from simulations.experiment.arms import read_trained
from simulations.experiment.experiment import Experiment, ExperimentPlan, FoldOutcome
from simulations.experiment.summary import summarise_experiment
from simulations.families.folds import with_folds
from simulations.families.patients.evidence import PatientEvidence
from simulations.families.patients.hospitals import Hospitals
from simulations.families.patients.prediction import predict
from simulations.families.patients.study import PatientStudy
from simulations.results.schema import ARM_NAMES, Arm, SimulationResult

SmallCohort = Callable[..., Path]
Trial = tuple[Experiment, list[FoldOutcome], SimulationResult]


class Listener:
    """Remembers what an experiment says."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.rounds: list[tuple[int, int]] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def round(self, fold: int, record: RoundRecord) -> None:
        self.rounds.append((fold, record.round))


def plan(cohort: Path, work: Path, folds: tuple[int, ...] = (0,), seed: int = 0) -> ExperimentPlan:
    federation = load(cohort / FILE_NAME).changed({"training.seed": str(seed)})
    sites, _ = with_folds(PatientStudy(), find_sites(cohort), federation, work / "folds", 5, seed)
    return ExperimentPlan("small", cohort, sites, federation, folds, "serial", work)


def conduct(
    cohort: Path, work: Path, folds: tuple[int, ...] = (0,), audience: Listener | None = None
) -> Trial:
    experiment = Experiment(plan(cohort, work, folds), audience or Listener())
    outcomes = experiment.run()
    return experiment, outcomes, summarise_experiment(experiment, outcomes, 1.0)


def hospitals_of(experiment: Experiment) -> Hospitals:
    cohorts: Any = experiment.cohorts
    hospitals = cohorts.hospitals
    assert isinstance(hospitals, Hospitals)
    return hospitals


def assign(table: Path, **columns: str | None) -> None:
    pd.read_csv(table, dtype=str).assign(**columns).to_csv(table, index=False)


def linear_alone(task: Task) -> tuple[Arm, ...]:
    return ("cox",) if task.form is OutcomeForm.TIME_TO_EVENT else ("logistic",)


@pytest.mark.usefixtures("networks_only")
def test_everyone_hears_what_is_done_fold_by_fold(small_cohort: SmallCohort, tmp_path: Path) -> None:
    heard = Listener()
    experiment, outcomes, _ = conduct(small_cohort(tasks=["survival"]), tmp_path / "work", (0, 3), heard)
    assert heard.rounds == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    for fold in (1, 2):
        together = [stage for stage in heard.stages if stage.startswith(f"fold {fold} of 2: ")]
        assert "3 hospitals" in together[0]
        assert any(stage.endswith("4 of 4") for stage in together)
    for place, fold in enumerate((0, 3)):
        held: Any = outcomes[place].tasks["survival"]
        expected = hospitals_of(experiment).everyone.select(hospitals_of(experiment).held_out_in == fold)
        np.testing.assert_array_equal(held.labels, expected.labels["survival"].double().numpy())
        assert len(held.labels) + len(held.train_labels) == 90
        assert held.groups == tuple(
            hospitals_of(experiment).groups[(hospitals_of(experiment).held_out_in == fold).numpy()]
        )
    seen = experiment.cohorts.evidence([outcome.tasks for outcome in outcomes])
    assert isinstance(seen, PatientEvidence)
    drawn = seen.tasks["survival"].folds
    assert [fold.prediction for fold in drawn] == [
        outcome.tasks["survival"].arms["federated"][0] for outcome in outcomes
    ]


@pytest.mark.usefixtures("networks_only")
def test_a_hospital_without_events_has_no_model_of_its_own_and_a_note(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    assign(cohort / "hospital-3" / "outcomes.csv", died="0")
    _, outcomes, result = conduct(cohort, tmp_path / "work", (0, 1))
    assert set(outcomes[0].local) == {"hospital 1", "hospital 2"}
    assert result.hospitals["hospital 3"].events == {"survival": 0}
    assert result.sites["survival"]["hospital 3"].local is None
    assert result.sites["survival"]["hospital 3"].federated is not None
    assert result.tasks["survival"]["local"]["c_index"].mean is not None
    assert sum("hospital 3" in note for note in result.notes) == 1


def test_a_hospital_has_models_of_the_tasks_it_knows_and_reasons_for_the_others(
    small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.baselines.registry.applicable", linear_alone)
    cohort = small_cohort(tasks=["survival", "response"], training__rounds="1")
    assign(cohort / "hospital-1" / "outcomes.csv", died="0")
    assign(cohort / "hospital-2" / "outcomes.csv", response=None)
    _, (outcome,), result = conduct(cohort, tmp_path / "work")
    assert {name: set(of) for name, of in outcome.local.items()} == {
        "hospital 1": {"response"},
        "hospital 2": {"survival"},
        "hospital 3": {"survival", "response"},
    }
    for task, without, code in (
        ("survival", "hospital 1", "no-events"),
        ("response", "hospital 2", "no-labels"),
    ):
        sites = result.sites[task]
        known = [scores.local for name, scores in sites.items() if name != without]
        local = result.headline(task, "local")
        assert local is not None
        assert local.mean == pytest.approx(sum(filter(None, known)) / 2)
        assert len(outcome.tasks[task].arms["local_linear"]) == 2
        assert sites[without].local is None
        lacks = {reason.lacks for reason in sites[without].reasons if reason.code == code}
        assert lacks == {"model", "linear-model"} | ({"part"} if code == "no-labels" else set())
        others = [reason for name, scores in sites.items() if name != without for reason in scores.reasons]
        assert {reason.lacks for reason in others} <= {"figure"}
        for name, scores in sites.items():
            assert scores.gain is None or scores.intervals["local"] != (None, None)
            assert (name == without) == (scores.gain is None)
    assert (
        result.sites["response"]["hospital 2"].held_out
        == result.hospitals["hospital 2"].held_out["response"]
        == 0
    )
    (untaught,) = result.folds[0].absent
    assert (untaught.site, untaught.task, untaught.code) == ("hospital 2", "response", "no-labels")


@pytest.mark.usefixtures("networks_only")
def test_a_hospital_without_its_gpu_says_so_in_every_arm(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    file = cohort / "hospital-2" / "site.toml"
    file.write_text('device = "cuda:99"\n' + file.read_text())
    _, _, result = conduct(cohort, tmp_path / "work")
    (absent,) = result.folds[0].absent
    assert (absent.site, absent.code, absent.rounds) == (
        "hospital 2",
        RefusalCode.DEVICE_UNAVAILABLE.value,
        (),
    )
    reasons = result.sites["survival"]["hospital 2"].reasons
    assert {(reason.lacks, reason.code) for reason in reasons} >= {
        ("part", RefusalCode.DEVICE_UNAVAILABLE.value),
        ("model", RefusalCode.DEVICE_UNAVAILABLE.value),
    }
    assert all(REFUSALS[RefusalCode.NO_TRAINING_PATIENTS] not in note for note in result.notes)
    assert any("hospital 2" in note and absent.text in note for note in result.notes)


@pytest.mark.usefixtures("networks_only")
def test_a_cohort_without_any_event_says_so(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"])
    for site in find_sites(cohort):
        assign(site / "outcomes.csv", died="0")
    with pytest.raises(InvalidContentError) as refused:
        conduct(cohort, tmp_path / "work")
    assert refused.value.where == "task survival"


@pytest.mark.usefixtures("networks_only")
def test_a_modality_that_nobody_has_is_carried_along(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"])
    for site in find_sites(cohort):
        text = (site / "site.toml").read_text()
        (site / "site.toml").write_text(text.replace('imaging = "imaging.csv"\n', ""))
        (site / "imaging.csv").unlink()
    _, outcomes, result = conduct(cohort, tmp_path / "work")
    assert all(hospital.modalities["imaging"] == 0 for hospital in result.hospitals.values())
    assert set(result.tasks["survival"]) == {"federated", "local", "null", "pooled"}
    assert result.tasks["survival"]["federated"]["c_index"].mean is not None
    assert all(np.isfinite(array).all() for array in outcomes[0].federated.result.weights.values())


@pytest.mark.usefixtures("networks_only")
def test_a_hospitals_own_model_is_not_shown_what_it_never_saw(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    experiment, (outcome,), _ = conduct(cohort, tmp_path / "work")
    test = hospitals_of(experiment).everyone.select(hospitals_of(experiment).held_out_in == 0)
    own = read_trained(tmp_path / "work" / "alone-1" / "fold0")

    model, federation = experiment.model, experiment.federation
    assert isinstance(model, FederatedModel)
    assert isinstance(federation, Federation)

    def risk(patients: PatientBatch) -> np.ndarray:
        prediction = predict(own.result, model, federation, patients)["survival"]
        assert isinstance(prediction, SurvivalPrediction)
        return prediction.risk

    blind = {**test.observed, "rna": torch.zeros_like(test.observed["rna"])}
    told = outcome.local["hospital 2"]["survival"]
    assert isinstance(told, SurvivalPrediction)
    np.testing.assert_array_equal(
        told.risk, risk(PatientBatch(test.values, blind, test.labels, test.labelled))
    )
    assert not np.array_equal(told.risk, risk(test))


def test_baselines_that_cannot_be_fitted_are_left_out_with_a_note(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["toxicity"], training__rounds="1")
    for site in find_sites(cohort):
        assign(site / "outcomes.csv", blood=None)
    _, _, result = conduct(cohort, tmp_path / "work")
    assert set(result.tasks["toxicity"]) == {"federated", "local", "pooled"}
    (note,) = [note for note in result.notes if ARM_NAMES["mlp"] in note]
    assert "toxicity" in note


def test_a_fold_that_holds_nobody_out_is_refused(small_cohort: SmallCohort, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as refused:
        Experiment(plan(small_cohort(), tmp_path / "work", (8,)), Listener())
    assert refused.value.where == "--fold 8"
