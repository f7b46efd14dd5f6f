import numpy as np
import pytest
from numpy.typing import NDArray

from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction, concatenate


def exponential_curves(
    patients: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], SurvivalPrediction]:
    """Patients whose risk is known up to noise: time, event, prediction."""
    generator = np.random.default_rng(seed)
    rate = generator.uniform(0.01, 0.1, patients)
    death, leave = generator.exponential(1 / rate), generator.exponential(40, patients)
    times = np.linspace(1, 80, 40)
    prediction = SurvivalPrediction(np.log(rate), times, np.exp(-rate[:, None] * times))
    return np.ceil(np.minimum(death, leave)), death <= leave, prediction


def test_survival_between_times_is_linear_from_one() -> None:
    prediction = SurvivalPrediction(np.zeros(1), np.array([10.0, 20.0]), np.array([[0.8, 0.4]]))
    assert prediction.at([0, 5, 10, 15, 20, 99]) == pytest.approx(np.array([[1.0, 0.9, 0.8, 0.6, 0.4, 0.4]]))


def test_survival_at_one_time_each_is_that_of_all_times() -> None:
    rng = np.random.default_rng(0)
    curves = np.sort(rng.random((4, 3)), axis=1)[:, ::-1]
    prediction = SurvivalPrediction(np.zeros(4), np.array([2.0, 5.0, 9.0]), curves)
    time = np.array([0.0, 1.0, 6.5, 20.0])
    assert prediction.at_each(time).tolist() == np.diag(prediction.at(time)).tolist()


def test_predictions_are_put_together_and_taken_apart() -> None:
    _, _, prediction = exponential_curves(10, 4)
    parts = [prediction.select(np.arange(4)), prediction.select(np.arange(10) >= 4)]
    again = concatenate(parts)
    assert isinstance(again, SurvivalPrediction)
    assert np.array_equal(again.risk, prediction.risk)
    assert np.array_equal(again.survival, prediction.survival)
    other = SurvivalPrediction(np.zeros(1), np.array([1.0]), np.ones((1, 1)))
    with pytest.raises(ValueError):
        concatenate([prediction, other])
    with pytest.raises(ValueError):
        concatenate([LabelPrediction(np.ones((1, 2))), ClassPrediction(np.ones((1, 2)))])
    together = concatenate([LabelPrediction(np.ones((1, 2))), LabelPrediction(np.zeros((2, 2)))])
    assert isinstance(together, LabelPrediction)
    assert together.probability.shape == (3, 2)
