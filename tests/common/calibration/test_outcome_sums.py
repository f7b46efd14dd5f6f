import numpy as np
import pytest
from scipy.special import expit

from common.calibration.outcome_sums import (
    expected_at_nodes,
    moved_classes,
    moved_labels,
    moved_numbers,
    share_at,
)
from common.calibration.shapes import NODES, SAME_LEVEL
from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction


@pytest.mark.parametrize("spread", [0.2, 1.0, 2.5])
def test_shares_between_the_nodes_are_those_of_the_patients(spread: float) -> None:
    logits = np.random.default_rng(0).normal(-0.7, spread, 400)
    nodes = expected_at_nodes(expit(logits)).mean(axis=0)
    levels = np.linspace(-2.5, 2.5, 21)
    exact = [expit(logits + level).mean() for level in levels]
    assert share_at(levels, nodes, None) == pytest.approx(exact, abs=0.005)


def test_a_hospital_with_few_patients_takes_the_course_of_the_others() -> None:
    rng = np.random.default_rng(1)
    others = expected_at_nodes(expit(rng.normal(0, 1.5, 1000))).mean(axis=0)
    here = np.where(np.arange(len(NODES)) == SAME_LEVEL, 0.4, 0.0)
    assert share_at(np.zeros(1), here, others) == pytest.approx([0.4])
    steep, flat = share_at(np.ones(1), here, None), share_at(np.ones(1), here, others)
    assert 0.4 < flat[0] < steep[0]


def test_certain_probabilities_stay_finite() -> None:
    assert np.isfinite(expected_at_nodes(np.array([0.0, 1.0]))).all()
    labels = moved_labels(LabelPrediction(np.array([[0.0, 1.0, 0.5]])), np.array([1.0, -1.0, 0.0]))
    assert labels.probability.tolist() == [[0.0, 1.0, 0.5]]


def test_two_classes_move_by_the_log_odds_and_keep_their_sum() -> None:
    prediction = ClassPrediction(np.array([[0.5, 0.5], [0.9, 0.1]]))
    moved = moved_classes(prediction, np.array([0.0, np.log(3)]))
    assert moved.probability == pytest.approx(np.array([[0.25, 0.75], [0.75, 0.25]]))


def test_numbers_stay_in_the_plausible_range() -> None:
    moved = moved_numbers(NumberPrediction(np.array([1.0, 9.5])), 1.0, 0.0, 10.0)
    assert moved.value.tolist() == [2.0, 10.0]
