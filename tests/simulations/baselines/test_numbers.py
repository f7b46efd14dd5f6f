"""Ridge regression and forest for a number."""

import numpy as np
import pytest

from common.evaluation.predictions import NumberPrediction
from common.tasks.regression import RegressionTask
from simulations.baselines.null_model import null_prediction
from simulations.baselines.numbers import number_forest, ridge
from simulations.baselines.tabular import Tables


def test_both_find_a_linear_signal_and_no_more_in_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.baselines.numbers.TREES", 30)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5))
    number = 3 + 2 * rows[:, 0] + 0.1 * rng.normal(size=200)
    tables = Tables(rows[:150], rows[150:])
    for fit, least in ((ridge, 0.95), (number_forest, 0.6)):
        left = np.var(number[150:] - fit(tables, number[:150], 0)) / np.var(number[150:])
        assert 1 - left > least
    assert ridge(Tables(rows[:1], rows[150:]), number[:1], 0) == pytest.approx(number[0])


def test_the_null_model_says_the_mean_of_the_training_patients() -> None:
    task = RegressionTask(name="extent", target="cm", low=0, high=40)
    labels, labelled = np.array([[1.0], [3.0], [90.0]]), np.array([[True], [True], [False]])
    null = null_prediction(task, labels, labelled, 3)
    assert isinstance(null, NumberPrediction)
    assert null.value.tolist() == [2.0, 2.0, 2.0]
    assert task.headline(null, labels, labelled) == 0
