import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from simulations.baselines.null_model import kaplan_meier, null_prediction

SURVIVAL = SurvivalTask(name="survival", time="time", event="event", unit="months", longest=100)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "partial", "yes"))
TOXICITY = ToxicityTask(name="toxicity", labels=("rash", "nausea"))


def test_the_curve_is_that_of_lifelines() -> None:
    rng = np.random.default_rng(0)
    time, event = rng.integers(0, 30, 200).astype(np.float64), rng.random(200) < 0.6
    times, survival = kaplan_meier(time, event)
    assert times[0] > 0
    np.testing.assert_allclose(
        survival, KaplanMeierFitter().fit(time, event).survival_function_at_times(times).to_numpy()
    )


def test_everyone_is_predicted_alike_from_known_labels() -> None:
    rng = np.random.default_rng(0)
    known = np.array([[True], [True], [True], [False]])
    time = np.stack([rng.uniform(1, 9, 4), np.ones(4)], axis=1)
    curve = null_prediction(SURVIVAL, time, known.repeat(2, 1), 5)
    assert isinstance(curve, SurvivalPrediction)
    assert curve.survival.shape == (5, 3)
    classes = null_prediction(RESPONSE, np.array([[0.0], [2.0], [2.0], [1.0]]), known, 2)
    assert isinstance(classes, ClassPrediction)
    assert classes.probability == pytest.approx(np.array([[1 / 3, 0, 2 / 3]] * 2))
    both = np.array([[True, True], [True, False], [True, True]])
    labels = null_prediction(TOXICITY, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), both, 1)
    assert isinstance(labels, LabelPrediction)
    assert labels.probability == pytest.approx(np.array([[1 / 3, 1 / 2]]))


def test_nobody_labelled_is_no_prediction() -> None:
    assert null_prediction(RESPONSE, np.zeros((2, 1)), np.zeros((2, 1), dtype=bool), 3) is None
