"""Calibration of risks by a horizon: level, slope, and a smooth curve with its band.

Outcomes under censoring are weighted by the inverse probability of being uncensored (Gerds, Andersen & Kattan 2014,
Calibration plots for risk prediction models in the presence of competing risks, use the same weights).
"""

import numpy as np

from common.validation.estimate import NORMAL, IntervalEstimate, ValidationRecord
from common.validation.observed import Array, Outcomes
from common.validation.regression import LinkFunction, fit, knots_of, spline

LEAST_FOR_CURVE = 10
"""Least events, and patients without one, of a smooth curve."""
_MANY = 50
"""Events from which a smooth curve has a knot more."""
_GRID = 41


class Level(ValidationRecord):
    """Recalibration on the scale of the link.

    Attributes:
        intercept: level of the outcome where the slope is held at 1; 0 is best.
        slope: best 1; below 1, risks are too extreme.
    """

    intercept: IntervalEstimate = IntervalEstimate()
    slope: IntervalEstimate = IntervalEstimate()


class CurvePoint(ValidationRecord):
    """Point of a smooth calibration curve with its 95% band."""

    predicted: float
    observed: float
    low: float
    high: float


class Curve(ValidationRecord):
    """Smooth calibration curve between the 5% and 95% quantiles of the predicted risk.

    Attributes:
        points: of rising predicted risk, at equal distances, and none at a patient's.
        distance: mean distance of the curve from the predicted risks of all patients, the integrated calibration index
            of Austin & Steyerberg (2019).
    """

    points: tuple[CurvePoint, ...]
    distance: float


def level_and_slope(outcomes: Outcomes, risk: Array, weights: Array, link: LinkFunction) -> Level:
    """Regress the outcome on the transformed risk (Cox 1958; Miller et al. 1993)."""
    x, ones = link.of(risk), np.ones((len(risk), 1))
    level = fit(ones, outcomes.had, weights, link, offset=x)
    slope = fit(np.column_stack([ones, x]), outcomes.had, weights, link) if np.ptp(x) > 0 else None
    return Level(
        intercept=IntervalEstimate()
        if level is None
        else IntervalEstimate.around(float(level.coefficients[0]), float(level.errors[0])),
        slope=IntervalEstimate()
        if slope is None
        else IntervalEstimate.around(float(slope.coefficients[1]), float(slope.errors[1])),
    )


def smooth_curve(outcomes: Outcomes, risk: Array, weights: Array, link: LinkFunction) -> Curve | None:
    """Fit a cubic spline of the transformed risk; None with too few of either outcome."""
    events = int(outcomes.had.sum())
    if min(events, int(outcomes.spared.sum())) < LEAST_FOR_CURVE:
        return None
    x = link.of(risk)
    knots = knots_of(x, 4 if events >= _MANY else 3)
    if len(knots) < 3:
        return None
    fitted = fit(spline(x, knots), outcomes.had, weights, link)
    if fitted is None:
        return None
    low, high = np.quantile(risk, [0.05, 0.95]).tolist()
    grid: Array = np.linspace(low, high, _GRID)
    columns = spline(link.of(grid), knots)
    middle = columns @ fitted.coefficients
    error = np.sqrt(np.maximum(np.einsum("pk,kl,pl->p", columns, fitted.covariance, columns), 0.0))
    bands = [link.risk(middle + side * NORMAL * error) for side in (0, -1, 1)]
    rows = zip(grid.tolist(), *(band.tolist() for band in bands), strict=True)
    everyone = link.risk(spline(x, knots) @ fitted.coefficients)
    return Curve(
        points=tuple(CurvePoint(predicted=p, observed=o, low=low, high=high) for p, o, low, high in rows),
        distance=float(np.abs(everyone - risk).mean()),
    )
