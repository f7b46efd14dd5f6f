import numpy as np
import pytest

from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction
from common.intervals.answering import class_sets, label_sets, number_ranges
from common.intervals.scores import of_numbers


def test_the_likeliest_class_is_always_possible() -> None:
    prediction = ClassPrediction(np.array([[0.5, 0.3, 0.2]]))
    assert class_sets(prediction, 0.25).tolist() == [[True, True, False]]
    assert class_sets(prediction, 0.9).tolist() == [[True, False, False]]


def test_a_label_may_be_possible_with_its_absence() -> None:
    prediction = LabelPrediction(np.array([[0.05], [0.4], [0.95]]))
    happens, stays_out = label_sets(prediction, 0, 0.1)
    assert happens.tolist() == [False, True, True]
    assert stays_out.tolist() == [True, True, False]


def test_a_range_holds_the_numbers_whose_score_is_high_enough() -> None:
    prediction = NumberPrediction(np.full(100, 4.0))
    numbers = np.linspace(0.05, 9.95, 100)
    ends = number_ranges(prediction, 0.6, 0.0, 10.0)
    inside = (ends.low <= numbers) & (numbers <= ends.high)
    assert (inside == (of_numbers(prediction, numbers, 10.0) >= 0.6)).all()
    assert (ends.low[0], ends.high[0]) == pytest.approx((2.4, 5.6))
