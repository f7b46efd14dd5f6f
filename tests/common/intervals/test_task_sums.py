import numpy as np
import pytest

from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction
from common.intervals.shapes import step_sums
from common.intervals.task_sums import steps
from tests.common.calibration.made_up import RESPONSE, SCORE, SURVIVAL, TOXICITY, made_up

HAZARD = np.full(48, 0.02)


@pytest.mark.parametrize("patients", [0, 3, 4, 5, 30])
def test_every_form_fits_its_shapes_and_limits(patients: int) -> None:
    rng = np.random.default_rng(0)
    made = made_up(patients, 0.0, 0)
    shares = rng.dirichlet(np.ones(2), patients)
    flags = (rng.random((patients, 2)) < 0.5).astype(np.float64)
    answers = (
        (SURVIVAL, made.prediction, made.labels),
        (RESPONSE, ClassPrediction(shares), flags[:, :1]),
        (TOXICITY, LabelPrediction(shares), flags),
        (SCORE, NumberPrediction(shares[:, 0]), 10 * shares[:, 1:]),
    )
    for task, prediction, labels in answers:
        sums = steps(task, prediction, labels, np.ones(labels.shape, np.bool_), HAZARD, 5)
        limits = step_sums(task)
        assert sums.keys() == limits.keys()
        for name, limit in limits.items():
            assert sums[name].shape == limit.shape
            assert sums[name].min(initial=0.0) >= 0
            assert sums[name].max(initial=0.0) <= patients * limit.high
        assert patients >= 5 or not any(values.any() for values in sums.values())


@pytest.mark.parametrize("events", [0, 2, 4, 27])
def test_few_events_or_few_without_one_cannot_be_told_apart(events: int) -> None:
    patients = made_up(30, 0.0, 1)
    labels = patients.labels.clip(max=50)
    labels[:, 1] = np.arange(30) < events
    sums = steps(SURVIVAL, patients.prediction, labels, patients.labelled, HAZARD, 5)
    assert (int(sums["patients"][0]), int(sums["events"][0])) == (30, 0)
    assert not sums["steps"].any()


def test_an_event_weighs_at_least_itself() -> None:
    patients = made_up(200, 0.0, 2)
    sums = steps(SURVIVAL, patients.prediction, patients.labels, patients.labelled, HAZARD, 5)
    assert sums["events"][0] < sums["steps"].sum() < 20 * sums["events"][0]
