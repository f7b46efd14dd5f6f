import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from numpy.typing import NDArray

from common.evaluation.pairs import Pairs, concordance_pairs, floored_pairs, mann_whitney, on_either_side
from common.evaluation.predictions import SurvivalPrediction
from common.evaluation.survival import c_index


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


def test_concordance_by_hand() -> None:
    # Comparable: (0,1) (0,2) (0,3) (2,3); 1 was censored at the time 2 died, so (2,1) too; 3 was censored.
    time = np.array([1.0, 2.0, 2.0, 3.0])
    event = np.array([True, False, True, False])
    risk = np.array([4.0, 4.0, 1.0, 0.0])
    assert concordance_pairs(time, event, risk) == (3.5, 5)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_concordance_equals_lifelines_with_ties(patients: list[tuple[int, bool, int]]) -> None:
    time, event, risk = (np.array(column) for column in zip(*patients, strict=True))
    ours = c_index(time.astype(float), event, risk.astype(float))
    try:
        assert ours == pytest.approx(concordance_index(time, -risk, event))
    except ZeroDivisionError:
        assert math.isnan(ours)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 5), st.floats(-3, 3))
def test_concordance_depends_on_the_order_of_risks_alone(seed: int, slope: float, shift: float) -> None:
    time, event, prediction = exponential_curves(60, seed)
    pairs = concordance_pairs(time, event, prediction.risk)
    assert concordance_pairs(time, event, np.exp(slope * prediction.risk + shift)) == pairs


def test_concordance_is_the_same_in_pieces() -> None:
    time, event, prediction = exponential_curves(300, 0)
    whole = concordance_pairs(time, event, prediction.risk)
    assert concordance_pairs(time, event, prediction.risk, cells=1000) == whole


def test_pairs_of_an_outcome_count_ties_half() -> None:
    has = np.array([True, True, False, False])
    assert mann_whitney(has, np.array([3.0, 1.0, 1.0, 0.0])) == Pairs(3.5, 4)
    assert mann_whitney(np.zeros(3, dtype=bool), np.arange(3.0)) == Pairs(0.0, 0)


def test_pairs_add_up() -> None:
    assert Pairs.total([Pairs(3.5, 4), Pairs(1.0, 2)]) == Pairs(4.5, 6)
    assert Pairs.total([]) == Pairs.none()


def test_the_smaller_side_of_comparable_pairs() -> None:
    time = np.array([1.0, 2.0, 3.0, 4.0])
    assert on_either_side(time, np.array([True, False, False, False])) == 1
    assert on_either_side(time, np.array([True, True, False, False])) == 2
    assert on_either_side(time, np.array([False, False, False, True])) == 0


def test_pairs_with_few_patients_on_a_side_are_none() -> None:
    time, event = np.arange(6, dtype=float), np.array([True, True, False, False, False, False])
    assert floored_pairs(time, event, -time, 2) == concordance_pairs(time, event, -time)
    assert floored_pairs(time, event, -time, 3) == Pairs.none()
