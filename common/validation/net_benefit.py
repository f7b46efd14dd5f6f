"""Net benefit of treating whoever has a risk of a threshold or more (Vickers & Elkin 2006).

At a threshold t, one treated in vain counts t / (1 - t) of one treated rightly. Under censoring, the share of treated
patients with the event is Kaplan-Meier among them (Vickers et al. 2008, Extensions to decision curve analysis).
"""

import numpy as np

from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.observed import Array, Outcomes, observed_risk

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Thresholds that are reported unless others are chosen."""


class NetBenefit(ValidationRecord):
    """Net benefit at a threshold, in events treated per patient; treating nobody has 0.

    Attributes:
        threshold: risk from which patients would be treated.
        treated: share of patients at the threshold or above it; None, and no figure of the model, where a few patients
            alone are on either side.
        model: of treating them.
        everyone: of treating all patients.
        above_everyone: model minus everyone.
    """

    threshold: float
    treated: float | None
    model: IntervalEstimate = IntervalEstimate()
    everyone: float | None
    above_everyone: IntervalEstimate = IntervalEstimate()


def weight_of(threshold: float) -> float:
    """Return what one patient treated in vain counts."""
    return threshold / (1 - threshold)


def net_benefit(outcomes: Outcomes, risk: Array, threshold: float) -> float:
    """Net benefit of the model; NaN if the risk of those treated is not observed."""
    treated = risk >= threshold
    if not treated.any():
        return 0.0
    return float(treated.mean()) * _benefit(observed_risk(outcomes.select(treated)).risk, threshold)


def net_benefit_of_all(outcomes: Outcomes, threshold: float) -> float:
    """Net benefit of treating everybody."""
    return _benefit(observed_risk(outcomes).risk, threshold)


def _benefit(risk: float, threshold: float) -> float:
    return risk - (1 - risk) * weight_of(threshold)


def net_benefits(outcomes: Outcomes, risk: Array, thresholds: tuple[float, ...]) -> Array:
    """Net benefit [K, 2] of the model, and of everybody, at K thresholds."""
    everyone = observed_risk(outcomes).risk
    return np.array([[net_benefit(outcomes, risk, t), _benefit(everyone, t)] for t in thresholds])
