"""Paired differences against a closed form and an independent t-test."""

import math

import pytest
from scipy import stats

from simulations.comparing.pairing import other_settings, paired


def test_separate_patients_give_the_interval_of_the_t_test() -> None:
    first, second = [0.71, 0.66, 0.80, 0.74], [0.70, 0.60, 0.77, 0.75]
    told = paired("loss", first, second, lower_is_better=True)
    assert told is not None
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((interval.low, interval.high))
    assert told.difference == pytest.approx(0.0225)
    assert told.verdict == "undecided"


def test_folds_widen_the_interval_by_the_patients_that_they_share() -> None:
    """Nadeau & Bengio 2003: the variance is multiplied by 1 / n + n_test / n_train."""
    first, second = [0.80, 0.82, 0.78, 0.81, 0.79], [0.70, 0.71, 0.70, 0.72, 0.69]
    told = paired("C-index", first, second, folds=5)
    assert told is not None
    assert told.high is not None
    half = told.high - told.difference
    plain = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert half == pytest.approx((plain.high - plain.low) / 2 * math.sqrt(1 + 5 / 4))
    assert told.verdict == "better"
    worse = paired("loss", first, second, folds=5, lower_is_better=True)
    assert worse is not None
    assert worse.verdict == "worse"


def test_undefined_figures_have_no_pair_and_one_pair_has_no_interval() -> None:
    assert paired("C-index", [None, math.nan], [0.5, 0.5]) is None
    told = paired("C-index", [0.7, None], [0.6, 0.5])
    assert told is not None
    assert (told.pairs, told.low, told.verdict) == (1, None, "unknown")


def test_settings_that_differ_are_named_by_their_keys() -> None:
    one = {"training": {"rounds": 3, "epochs": 1}, "name": "a"}
    other = {"training": {"rounds": 5, "epochs": 1}, "name": "a", "wire": {"update": "int8"}}
    assert other_settings(one, other) == (
        ("training.rounds", "3", "5"),
        ("wire.update", "not set", "int8"),
    )
