import numpy as np
import pytest

from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import PredictionMismatch
from common.tasks.toxicity import ToxicityTask
from simulations.report.outcomes.calibration import calibration, kaplan_meier

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
TOXICITY = ToxicityTask(name="ae", labels=("rash", "fever"))


def test_kaplan_meier_by_hand() -> None:
    times, survival = kaplan_meier(np.array([1.0, 2.0, 2.0, 4.0]), np.array([True, True, False, True]))
    assert times == pytest.approx([0, 1, 2, 4])
    assert survival == pytest.approx([1, 3 / 4, 1 / 2, 0])


def test_survival_is_calibrated_when_the_prediction_is_the_truth() -> None:
    generator = np.random.default_rng(0)
    rate = generator.uniform(0.005, 0.1, 6000)
    death, leave = generator.exponential(1 / rate), generator.exponential(30, 6000)
    times = np.linspace(1, 40, 40)
    prediction = SurvivalPrediction(rate, times, np.exp(-rate[:, None] * times))
    labels = np.stack([np.minimum(death, leave), death <= leave], axis=1)
    curve = calibration(SURVIVAL, prediction, labels, np.ones_like(labels, dtype=bool), horizon=12)
    assert curve.count.tolist() == [1200] * 5
    assert curve.observed == pytest.approx(curve.predicted, abs=0.05)
    assert np.all(np.diff(curve.predicted) > 0)


def test_class_calibration_by_hand_with_an_unlabelled_patient() -> None:
    yes = np.array([0.1, 0.2, 0.8, 0.9, 0.5])
    prediction = ClassPrediction(np.stack([1 - yes, yes], axis=1))
    labels = np.array([[0.0], [1.0], [1.0], [1.0], [0.0]])
    curve = calibration(RESPONSE, prediction, labels, np.array([[True]] * 4 + [[False]]), bins=2)
    assert curve.predicted == pytest.approx([0.15, 0.85])
    assert curve.observed == pytest.approx([0.5, 1.0])
    assert curve.count.tolist() == [2, 2]


def test_equal_predictions_share_one_bin() -> None:
    labels = np.array([[1.0, 0.0], [0.0, 0.0]])
    curve = calibration(TOXICITY, LabelPrediction(np.full((2, 2), 0.3)), labels, np.ones((2, 2), dtype=bool))
    assert (curve.predicted.tolist(), curve.observed.tolist(), curve.count.tolist()) == ([0.3], [0.25], [4])


def test_a_prediction_of_another_kind_is_refused() -> None:
    with pytest.raises(PredictionMismatch) as refused:
        calibration(SURVIVAL, ClassPrediction(np.ones((1, 1))), [[1.0, 1.0]], [[True, True]])
    assert (refused.value.task, refused.value.prediction) == ("os", "ClassPrediction")
