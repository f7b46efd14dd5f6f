"""ValidationRecord of a task: what stands together, and what is left out of small groups."""

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
from common.validation.calibration import level_and_slope, smooth_curve
from common.validation.figures import TaskFigures, task_figures
from common.validation.observed import Outcomes, censoring_weights
from common.validation.regression import LinkFunction
from tests.common.validation.cohort import HORIZON, Made, made

SURVIVAL = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
TOXICITY = ToxicityTask(name="toxicity", labels=("skin", "gut"))


def survival_figures(patients: Made, **options: object) -> TaskFigures:
    times = np.linspace(1, 120, 60)
    hazard = -np.log1p(-patients.risk) / HORIZON
    prediction = SurvivalPrediction(patients.risk, times, np.exp(-hazard[:, None] * times))
    labels = np.column_stack([patients.time, patients.event])
    return task_figures(SURVIVAL, prediction, labels, np.ones(labels.shape, bool), **options)  # type: ignore[arg-type]


def test_a_time_to_an_event_is_judged_by_every_horizon() -> None:
    figures = survival_figures(made(200), horizons=(12.0, HORIZON), thresholds=(0.1, 0.3))
    (outcome,) = figures.outcomes
    assert outcome.discrimination.value is not None
    assert 0.55 < outcome.discrimination.value < 0.85
    early, late = outcome.horizons
    assert (early.horizon, late.horizon) == (12.0, HORIZON)
    assert late.followed is not None
    assert late.followed.ratio.value is not None
    assert late.ratio.value is not None
    assert late.followed.ratio.value > late.ratio.value > 1.1
    assert late.brier is not None
    assert late.brier.model is not None
    assert late.brier.null is not None
    assert late.brier.gain.value == pytest.approx(late.brier.null - late.brier.model)
    assert [decision.threshold for decision in late.decisions] == [0.1, 0.3]
    for decision in late.decisions:
        assert decision.model.value is not None
        assert decision.everyone is not None
        assert decision.above_everyone.value == pytest.approx(decision.model.value - decision.everyone)
        assert decision.model.low is not None
        assert decision.model.low < decision.model.value
    assert TaskFigures.model_validate_json(figures.model_dump_json()) == figures


def test_groups_are_judged_by_one_horizon_and_small_ones_are_bare() -> None:
    patients = made(200)
    sex = np.where(np.arange(200) % 2, "women", "men")
    age = np.where(np.arange(200) < 3, "under 50", sex)
    figures = survival_figures(patients, horizons=(12.0, HORIZON), divisions={"sex": sex, "age": age})
    (outcome,) = figures.outcomes
    women = {group.name: group for group in outcome.groups["sex"]}["women"]
    assert women.patients == 100
    assert women.ratio.value is not None
    assert women.discrimination.low is not None
    by_age = {group.name: group for group in outcome.groups["age"]}
    assert by_age["under 50"].patients is None
    assert by_age["under 50"].observed.value is None
    assert sum(group.patients is None for group in by_age.values()) == 2  # or the third follows
    assert outcome.grouped_by == HORIZON


def test_few_events_show_no_figure_and_no_count() -> None:
    patients = made(200)
    few = Made(patients.time, patients.event & (np.cumsum(patients.event) <= 4), patients.risk, patients.had)
    (outcome,) = survival_figures(few, horizons=(HORIZON,)).outcomes
    assert outcome.discrimination.value is None
    (horizon,) = outcome.horizons
    assert (horizon.events, horizon.expected, horizon.brier, horizon.decisions) == (None, None, None, ())


def test_a_class_and_every_adverse_event_are_judged_without_a_horizon() -> None:
    patients = made(200)
    both = np.column_stack([1 - patients.risk, patients.risk])
    labels = patients.had.astype(np.float64)[:, None]
    figures = task_figures(RESPONSE, ClassPrediction(both), labels, np.ones((200, 1), bool))
    (outcome,) = figures.outcomes
    assert outcome.name == "yes"
    assert outcome.horizons[0].observed.value == pytest.approx(patients.had.mean())
    assert outcome.horizons[0].followed is None
    labelled = np.ones((200, 2), bool)
    labelled[:150, 1] = False
    events = task_figures(TOXICITY, LabelPrediction(both), np.repeat(labels, 2, axis=1), labelled)
    assert [(each.name, each.patients) for each in events.outcomes] == [("skin", 200), ("gut", 50)]


def test_a_number_has_its_metric_alone() -> None:
    task = RegressionTask(name="number", target="value", unit="mmHg", low=0, high=300)
    rng = np.random.default_rng(0)
    value = rng.uniform(80, 200, 60)
    figures = task_figures(
        task, NumberPrediction(value + rng.normal(0, 10, 60)), value[:, None], np.ones((60, 1), bool)
    )
    (outcome,) = figures.outcomes
    assert outcome.discrimination.value is not None
    assert outcome.discrimination.value > 0.8
    assert outcome.horizons == ()


def test_calibration_weighs_patients_by_their_chance_of_being_followed() -> None:
    patients = made(200)
    (outcome,) = survival_figures(patients, horizons=(HORIZON,)).outcomes
    (late,) = outcome.horizons
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    weights, link = censoring_weights(outcomes), LinkFunction.CLOGLOG
    risk = patients.risk
    level = level_and_slope(outcomes, risk, weights, link)
    assert late.level.intercept.value == pytest.approx(level.intercept.value, abs=0.01)
    even = level_and_slope(outcomes, risk, np.ones(200), link)
    assert even.intercept.value != pytest.approx(level.intercept.value, abs=0.05)
    curve = smooth_curve(outcomes, risk, weights, link)
    assert late.curve is not None
    assert curve is not None
    assert late.curve.distance == pytest.approx(curve.distance, abs=0.005)
    plain = smooth_curve(outcomes, risk, np.ones(200), link)
    assert plain is not None
    assert plain.distance != pytest.approx(curve.distance, abs=0.01)


def test_a_threshold_that_few_patients_pass_has_no_net_benefit() -> None:
    patients = made(200)
    highest = np.sort(patients.risk)[::-1]
    few, enough = (float(highest[number - 1] + highest[number]) / 2 for number in (4, 5))
    (outcome,) = survival_figures(patients, horizons=(HORIZON,), thresholds=(few, enough)).outcomes
    first, second = outcome.horizons[0].decisions
    assert (first.treated, first.model.value, first.above_everyone.value) == (None, None, None)
    assert second.treated == pytest.approx(5 / 200)
