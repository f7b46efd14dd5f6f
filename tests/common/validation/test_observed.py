"""Observed risks and censoring weights are those of lifelines."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from common.validation.observed import Outcomes, censoring_weights, observed_risk
from tests.common.validation.cohort import HORIZON, made


def test_risk_and_its_error_are_those_of_lifelines() -> None:
    patients = made()
    for time in (patients.time, np.ceil(patients.time)):  # without ties, and with many
        fitter = KaplanMeierFitter().fit(time, patients.event)
        got = observed_risk(Outcomes(time, patients.event, HORIZON))
        assert got.risk == pytest.approx(1 - fitter.predict(HORIZON), abs=1e-12)
        # lifelines keeps the sum of Greenwood's formula
        sums = fitter._cumulative_sq_
        spread = float(sums[sums.index <= HORIZON].iloc[-1])
        assert got.error == pytest.approx((1 - got.risk) * spread**0.5, abs=1e-12)


def test_a_risk_beyond_the_follow_up_is_undefined_unless_nobody_is_left() -> None:
    time, event = np.array([1.0, 2.0, 3.0]), np.array([True, False, False])
    assert np.isnan(observed_risk(Outcomes(time, event, 4.0)).risk)
    assert observed_risk(Outcomes(time, event, 3.0)).risk == pytest.approx(1 / 3)
    assert observed_risk(Outcomes(time, np.array([True, False, True]), 4.0)).risk == 1.0
    assert np.isnan(observed_risk(Outcomes(time[:0], event[:0], 4.0)).risk)


def test_weights_are_inverse_probabilities_of_being_uncensored() -> None:
    patients = made()
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    censoring = KaplanMeierFitter().fit(patients.time, ~patients.event)
    weights = censoring_weights(outcomes)
    spared, had = outcomes.spared, outcomes.had
    assert (weights[~spared & ~had] == 0).all()
    assert weights[spared] == pytest.approx(1 / censoring.predict(HORIZON))
    assert weights[had] == pytest.approx(1 / censoring.predict(patients.time[had] - 1e-9).to_numpy())
    assert weights.sum() == pytest.approx(len(outcomes), rel=0.01)
    assert (weights * had).sum() / len(outcomes) == pytest.approx(observed_risk(outcomes).risk, abs=1e-12)


def test_an_outcome_without_time_is_counted() -> None:
    happened = made().had
    outcomes = Outcomes.without_time(happened)
    assert observed_risk(outcomes).risk == pytest.approx(happened.mean())
    assert observed_risk(outcomes).error == pytest.approx(
        (happened.mean() * (1 - happened.mean()) / 300) ** 0.5
    )
    assert (censoring_weights(outcomes) == 1).all()
