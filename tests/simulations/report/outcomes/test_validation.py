"""Validation of a simulation: the figures of all folds' patients, and their spread over hospitals."""

import numpy as np
import pytest

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    SurvivalPrediction,
)
from common.tasks.regression import RegressionTask
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from common.validation.observed import Outcomes, observed_risk
from simulations.report.outcomes.evidence import HeldOutPatients, TaskEvidence
from simulations.report.outcomes.validation import horizon_of, validation_of
from tests.common.validation.cohort import HORIZON, made

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))


def hospitals(patients: int, number: int = 4) -> list[str]:
    return [f"h{index % number}" for index in range(patients)]


def survival_fold(patients: int, seed: int, last: float) -> HeldOutPatients:
    people = made(patients, seed)
    times = np.linspace(2, last, 40)  # folds have intervals of their own
    hazard = -np.log1p(-people.risk) / HORIZON
    prediction = SurvivalPrediction(people.risk, times, np.exp(-hazard[:, None] * times))
    labels = np.column_stack([people.time, people.event])
    return HeldOutPatients(
        labels, np.ones(labels.shape, bool), prediction, [""] * patients, hospitals(patients)
    )


def test_folds_with_other_intervals_are_judged_together_by_a_round_horizon() -> None:
    folds = [survival_fold(300, 1, 90.0), survival_fold(200, 2, 110.0)]
    evidence = TaskEvidence(SURVIVAL, folds)
    validation = validation_of(evidence)
    assert validation is not None
    (outcome,) = validation.figures.outcomes
    (by,) = outcome.horizons
    assert by.horizon == horizon_of(evidence)
    assert by.horizon is not None
    labels = np.concatenate([fold.labels for fold in folds])
    exact = observed_risk(Outcomes(labels[:, 0], labels[:, 1] > 0, by.horizon)).risk
    assert by.observed.value == pytest.approx(exact)
    assert by.followed is not None
    assert by.followed.ratio.value == pytest.approx(1.5, abs=0.25)
    assert outcome.discrimination.value is None  # folds have models of their own
    assert set(validation.ratios) == {"h0", "h1", "h2", "h3"}
    assert validation.ratio is not None
    assert validation.concordance is not None
    low, high = validation.concordance.predicted
    assert low < 0.7 < high


def test_hospitals_with_few_of_an_outcome_are_not_pooled() -> None:
    people = made(120)
    both = np.column_stack([1 - people.risk, people.risk])
    labels = np.where(people.had, 1.0, 0.0)[:, None]
    names = ["large"] * 112 + ["small"] * 8
    fold = HeldOutPatients(labels, np.ones((120, 1), bool), ClassPrediction(both), [""] * 120, names)
    validation = validation_of(TaskEvidence(RESPONSE, [fold]))
    assert validation is not None
    assert set(validation.ratios) == {"large"}
    assert (validation.concordance, validation.ratio) == (None, None)


def test_adverse_events_are_judged_one_by_one_and_numbers_not_at_all() -> None:
    people = made(120)
    toxicity = ToxicityTask(name="ae", labels=("rash", "fever"))
    labels = np.repeat(np.where(people.had, 1.0, 0.0)[:, None], 2, axis=1)
    risks = LabelPrediction(np.column_stack([people.risk, people.risk]))
    fold = HeldOutPatients(labels, np.ones((120, 2), bool), risks, [""] * 120)
    validation = validation_of(TaskEvidence(toxicity, [fold]))
    assert validation is not None
    assert [outcome.name for outcome in validation.figures.outcomes] == ["rash", "fever"]
    number = RegressionTask(name="number", target="value", low=0, high=1)
    values = HeldOutPatients(
        labels[:, :1], np.ones((120, 1), bool), NumberPrediction(people.risk), [""] * 120
    )
    assert validation_of(TaskEvidence(number, [values])) is None
    unlabelled = HeldOutPatients(labels, np.zeros((120, 2), bool), risks, [""] * 120)
    assert validation_of(TaskEvidence(toxicity, [unlabelled])) is None
