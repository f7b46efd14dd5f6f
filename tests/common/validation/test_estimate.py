"""Estimates have no interval without a figure, and no NaN."""

import math

from common.validation.estimate import IntervalEstimate


def test_what_is_undefined_is_none() -> None:
    assert IntervalEstimate.of(math.nan, 0.1, 0.2) == IntervalEstimate()
    assert IntervalEstimate.of(1.0, math.nan, math.inf) == IntervalEstimate(value=1.0)
    assert IntervalEstimate.factor(2.0, math.nan) == IntervalEstimate(value=2.0)


def test_a_ratio_has_an_interval_on_the_logarithm() -> None:
    estimate = IntervalEstimate.factor(2.0, 0.5)
    assert estimate.low is not None
    assert estimate.high is not None
    assert math.isclose(estimate.low * estimate.high, 4.0)
    assert estimate.text() == "2.00 (0.75 to 5.33)"
    assert IntervalEstimate().text() == "—"
