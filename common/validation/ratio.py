"""Ratio of observed to expected events (O/E); over 1, the model says too little risk.

Both ways of counting are given, as they answer different questions under censoring. Kaplan-Meier compares the risk by
the horizon of all patients. The martingale way (Crowson, Atkinson & Therneau 2016, Assessing calibration of prognostic
risk scores) compares the events that were seen with those expected while each patient was followed.
"""

import math

import numpy as np

from common.evaluation.predictions import SurvivalPrediction
from common.validation.estimate import IntervalEstimate
from common.validation.observed import Array, ObservedRisk, Outcomes

LEAST_SURVIVAL = 1e-4
"""Least predicted survival in a cumulative hazard, which is its logarithm."""


def by_kaplan_meier(observed: ObservedRisk, expected: float) -> IntervalEstimate:
    """Divide the observed by the mean predicted risk, with the interval of the observed one."""
    if not expected > 0 or not observed.risk > 0:
        return IntervalEstimate.of(observed.risk / expected if expected > 0 else math.nan)
    return IntervalEstimate.factor(observed.risk / expected, observed.error / observed.risk)


def expected_while_followed(outcomes: Outcomes, prediction: SurvivalPrediction) -> Array:
    """Return predicted cumulative hazards [P] up to the horizon or the end of follow-up."""
    survival = prediction.at_each(np.minimum(outcomes.time, outcomes.horizon))
    hazard: Array = -np.log(np.clip(survival, LEAST_SURVIVAL, 1.0))
    return hazard


def by_martingale(events: int, expected: float) -> IntervalEstimate:
    """Divide events by expected ones, with the exact interval of a count (Garwood 1936)."""
    from scipy.stats import chi2

    if not expected > 0:
        return IntervalEstimate()
    low = float(chi2.ppf(0.025, 2 * events)) / 2 if events else 0.0
    high = float(chi2.ppf(0.975, 2 * events + 2)) / 2
    return IntervalEstimate.of(events / expected, low / expected, high / expected)
