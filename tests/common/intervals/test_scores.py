import numpy as np
import pytest

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    SurvivalPrediction,
)
from common.intervals.scores import lower_bound, of_classes, of_label, of_numbers, of_times

CURVES = SurvivalPrediction(np.zeros(2), np.array([10.0, 20.0]), np.array([[0.9, 0.5], [0.6, 0.2]]))


def test_a_bound_is_the_quantile_of_the_curve() -> None:
    assert lower_bound(CURVES, 0.1) == pytest.approx([10.0, 2.5])
    assert lower_bound(CURVES, 0.7) == pytest.approx([20.0, 17.5])
    assert lower_bound(CURVES, 0.0).tolist() == [0.0, 0.0]
    assert lower_bound(CURVES, 1.0).tolist() == [20.0, 20.0]


def test_a_time_is_below_the_bound_exactly_if_its_score_is_below_the_level() -> None:
    rng = np.random.default_rng(0)
    survival = np.sort(rng.random((400, 6)), axis=1)[:, ::-1]
    prediction = SurvivalPrediction(np.zeros(400), np.linspace(1, 30, 6), survival)
    time = rng.uniform(0, 29.9, 400)
    for level in (0.05, 0.1, 0.4):
        assert ((of_times(prediction, time) < level) == (time < lower_bound(prediction, level) - 1e-9)).all()


def test_scores_of_other_outcomes() -> None:
    shares = np.array([[0.2, 0.8]])
    assert of_classes(ClassPrediction(shares), np.array([1.0])).tolist() == [0.8]
    labels = LabelPrediction(shares)
    assert of_label(labels, 0, np.array([True])) == pytest.approx([0.2])
    assert of_label(labels, 0, np.array([False])) == pytest.approx([0.8])
    assert of_numbers(NumberPrediction(np.array([5.0])), np.array([7.5]), 10.0) == pytest.approx([0.5])
