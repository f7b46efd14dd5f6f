"""Level, slope and smooth curve find planted miscalibration."""

import numpy as np
import pytest

from common.validation.calibration import level_and_slope, smooth_curve
from common.validation.observed import Outcomes, censoring_weights
from common.validation.regression import LinkFunction
from tests.common.validation.cohort import HORIZON, made


def test_a_level_of_the_hazard_is_found_and_the_slope_stays_one() -> None:
    patients = made(5000, factor=1.5)
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    weights = censoring_weights(outcomes)
    level = level_and_slope(outcomes, patients.risk, weights, LinkFunction.CLOGLOG)
    assert level.intercept.value == pytest.approx(np.log(1.5), abs=0.08)
    assert level.slope.value == pytest.approx(1.0, abs=0.08)
    curve = smooth_curve(outcomes, patients.risk, weights, LinkFunction.CLOGLOG)
    assert curve is not None
    for point in curve.points[2:-2]:
        true = 1 - (1 - point.predicted) ** 1.5
        assert point.observed == pytest.approx(true, abs=0.05)
        assert point.low < point.observed < point.high
    gaps = 1 - (1 - patients.risk) ** 1.5 - patients.risk
    assert curve.distance == pytest.approx(gaps.mean(), abs=0.02)


def test_risks_that_are_too_extreme_have_a_slope_below_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4000)
    happened = rng.random(4000) < 1 / (1 + np.exp(-x))
    risk = 1 / (1 + np.exp(-2 * x))
    outcomes = Outcomes.without_time(happened)
    level = level_and_slope(outcomes, risk, np.ones(4000), LinkFunction.LOGIT)
    assert level.slope.value == pytest.approx(0.5, abs=0.05)
    assert level.intercept.value == pytest.approx(0.0, abs=0.15)


def test_few_of_an_outcome_and_equal_risks_give_no_curve() -> None:
    patients = made(300)
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    few = np.flatnonzero(outcomes.had)[:9]
    rows = np.concatenate([few, np.flatnonzero(outcomes.spared)])
    weights = censoring_weights(outcomes)
    assert (
        smooth_curve(outcomes.select(rows), patients.risk[rows], weights[rows], LinkFunction.CLOGLOG) is None
    )
    same = np.full(300, 0.3)
    assert smooth_curve(outcomes, same, weights, LinkFunction.CLOGLOG) is None
    level = level_and_slope(outcomes, same, weights, LinkFunction.CLOGLOG)
    assert level.slope.value is None
    assert level.intercept.value is not None


def test_no_point_of_a_curve_is_at_a_patient() -> None:
    patients = made()
    outcomes = Outcomes.without_time(patients.had)
    curve = smooth_curve(outcomes, patients.risk, np.ones(300), LinkFunction.LOGIT)
    assert curve is not None
    steps = np.diff([point.predicted for point in curve.points])
    assert steps == pytest.approx(steps[0])
