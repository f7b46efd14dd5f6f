"""Counts of the same patients from two tables never differ by a few patients."""

import numpy as np
import pytest

from common.calibration.task_sums import computed
from common.evaluation.predictions import ClassPrediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.validation.observed import Array
from common.validation.sums.computing import judged_outcomes, task_sums
from common.validation.sums.shapes import horizons_asked, times_of
from common.validation.sums.times import last_told
from tests.common.validation.cohort import Made, made
from tests.common.validation.sums.test_computing import LEAST, SURVIVAL, predicted, sums_for

EDGES = np.array([0.15, 0.25])
END = 109.0
"""End of the curves, between two horizons."""


def counts_by_time(patients: Made) -> dict[float, set[tuple[float, float]]]:
    """Events and censored patients by time, as each of three tables tells them."""
    whole, labels = predicted(SURVIVAL, patients)
    assert isinstance(whole, SurvivalPrediction)
    inside = whole.times <= END
    prediction = SurvivalPrediction(whole.risk, whole.times[inside], whole.survival[:, inside])
    labelled = np.ones(labels.shape, bool)
    judged = judged_outcomes(SURVIVAL, prediction, labels, labelled)
    sums = task_sums(SURVIVAL, judged, {}, [], LEAST, EDGES)
    calibration = computed(SURVIVAL, prediction, labels, labelled, LEAST)
    told: dict[float, set[tuple[float, float]]] = {}
    for index, horizon in enumerate(horizons_asked(SURVIVAL)):
        if sums["events"][0, index]:
            told.setdefault(horizon, set()).add((sums["events"][0, index], sums["left"][0, index]))
    totals = sums["thirds"].sum(0).cumsum(0)
    for index, time in enumerate(times_of(SURVIVAL)):
        if sums["thirds"][:, index].any():
            told.setdefault(time, set()).add((totals[index, 0], totals[index, 1]))
    if told and calibration["events"].any():
        events = float(calibration["events"][0])
        told.setdefault(END, set()).add((events, float(calibration["patients"][0]) - events))
    return told


@pytest.mark.parametrize("patients", [12, 20, 40, 90, 250])
def test_between_any_two_times_of_any_table_there_are_enough_events(patients: int) -> None:
    several = 0
    for seed in range(40):
        told = counts_by_time(made(patients, seed, factor=3.0))
        events = [max(of for of, _ in told[time]) for time in sorted(told)]
        assert all(len({of for of, _ in pairs}) == 1 for pairs in told.values())
        gaps = np.diff([0.0, *events])
        assert ((gaps == 0) | (gaps >= LEAST)).all(), (seed, gaps)
        several += len(events) > 1
    assert several or patients < 20


def test_late_events_are_counted_only_with_enough_of_them() -> None:
    time = np.concatenate([np.full(20, 5.0), np.full(3, 110.0), np.full(20, 130.0)])
    event = np.arange(43) < 23
    assert last_told(SURVIVAL, 115.0, time, event, 5) == 36
    assert last_told(SURVIVAL, 115.0, time, event, 3) == 115
    assert last_told(SURVIVAL, 115.0, time[:4], event[:4], 5) == 115


@pytest.mark.parametrize("rare", [1, 4, 5])
def test_no_class_is_told_of_which_the_others_leave_a_few_patients(rare: int) -> None:
    task = ResponseTask(name="response", label="response", classes=("no", "partial", "yes"))
    classes = np.concatenate([np.zeros(30), np.ones(30), np.full(rare, 2.0)])
    draw = np.random.default_rng(0)
    prediction = ClassPrediction(draw.dirichlet(np.ones(3), len(classes)))
    labelled = np.ones((len(classes), 1), bool)
    judged = judged_outcomes(task, prediction, classes[:, None], labelled)
    groups = {"sex": np.where(np.arange(len(classes)) % 2, "m", "f").tolist()}
    names = [("sex", "f"), ("sex", "m")]
    sums: dict[str, Array] = task_sums(task, judged, groups, names, LEAST, None)
    assert bool(sums["patients"].any()) == (rare >= LEAST)
    assert not sums["groups"].any()  # in either there are fewer of the rare class
    assert sums["events"].any() == (rare >= LEAST)


def test_an_observed_risk_leaves_in_halves_of_patients() -> None:
    for seed in range(10):
        sums = sums_for(SURVIVAL, made(60, seed))
        for name in ("risk", "spread"):
            assert (2 * sums[name] == np.round(2 * sums[name])).all()
        assert (2 * sums["cells"][..., 2] == np.round(2 * sums["cells"][..., 2])).all()
