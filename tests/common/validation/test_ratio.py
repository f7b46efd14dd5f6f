"""Observed to expected, counted both ways, finds a planted factor."""

import numpy as np
import pytest

from common.evaluation.predictions import SurvivalPrediction
from common.validation.observed import Outcomes, observed_risk
from common.validation.ratio import by_kaplan_meier, by_martingale, expected_while_followed
from tests.common.validation.cohort import HORIZON, Made, made


def curves(patients: Made) -> SurvivalPrediction:
    times = np.linspace(1, 120, 240)
    hazard = -np.log1p(-patients.risk) / HORIZON
    return SurvivalPrediction(patients.risk, times, np.exp(-hazard[:, None] * times))


def test_both_ways_find_the_planted_factor_of_the_hazard() -> None:
    patients = made(4000, factor=1.5)
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    expected = expected_while_followed(outcomes, curves(patients))
    seen = by_martingale(int(outcomes.had.sum()), float(expected.sum()))
    assert seen.value == pytest.approx(1.5, abs=0.08)
    assert seen.low is not None
    assert seen.high is not None
    assert seen.low < 1.5 < seen.high
    assert seen.value is not None
    by_risk = by_kaplan_meier(observed_risk(outcomes), float(patients.risk.mean()))
    true = (1 - np.exp(1.5 * np.log1p(-patients.risk))).mean() / patients.risk.mean()
    assert by_risk.value == pytest.approx(true, abs=0.05)
    assert by_risk.value is not None
    assert by_risk.value < seen.value  # of a risk, a factor of the hazard is less


def test_expected_events_are_the_cumulative_hazard_while_followed() -> None:
    patients = made(50)
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    hazard = -np.log1p(-patients.risk) / HORIZON
    exact = hazard * np.minimum(patients.time, HORIZON)
    assert expected_while_followed(outcomes, curves(patients)) == pytest.approx(exact, rel=2e-3, abs=2e-3)


def test_the_interval_of_a_count_is_garwoods() -> None:
    assert by_martingale(10, 10.0).low == pytest.approx(0.4795, abs=1e-4)
    assert by_martingale(10, 10.0).high == pytest.approx(1.8390, abs=1e-4)
    assert by_martingale(0, 10.0).low == 0
    assert by_martingale(3, 0.0).value is None
