"""Weighted regression of an outcome on a transformed risk, and cubic splines of it.

The links are the logit, and the complementary log-log, on which a level of a hazard model is a constant.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from common.validation.observed import Array, Mask

STEPS = 50
HALVINGS = 20
_ROUNDING = 1e-9
_END = 1e-6
"""Distance from 0 and 1 at which a risk is cut before it is transformed."""
_SEPARATED = 1e-4
"""Largest distance of every outcome from its fitted risk at which outcomes are separated, and have no estimate."""

_STEEPEST = 1e4
"""Largest coefficient in size of a fit."""


class LinkFunction(StrEnum):
    """Scale on which an outcome is linear in the predictors."""

    LOGIT = "logit"
    CLOGLOG = "complementary log-log"

    def of(self, risk: Array) -> Array:
        """Transform risks."""
        cut = np.clip(risk, _END, 1 - _END)
        transformed: Array = (
            np.log(cut / (1 - cut)) if self is LinkFunction.LOGIT else np.log(-np.log1p(-cut))
        )
        return transformed

    def risk(self, transformed: Array) -> Array:
        """Return risks from transformed ones."""
        if self is LinkFunction.LOGIT:
            return np.asarray(1 / (1 + np.exp(-transformed)))
        back: Array = -np.expm1(-np.exp(np.minimum(transformed, 5.0)))
        return back

    def slope(self, transformed: Array) -> Array:
        """Derivative of the risk by the transformed one."""
        if self is LinkFunction.LOGIT:
            risk = self.risk(transformed)
            return risk * (1 - risk)
        cut = np.minimum(transformed, 5.0)
        density: Array = np.exp(cut - np.exp(cut))
        return density


@dataclass(frozen=True)
class Fit:
    """Coefficients [K] of a regression and their robust covariance [K, K]."""

    coefficients: Array
    covariance: Array

    @property
    def errors(self) -> Array:
        """Standard errors [K]."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def fit(
    predictors: Array, outcome: Mask, weights: Array, link: LinkFunction, offset: Array | None = None
) -> Fit | None:
    """Fit a weighted binomial regression; None where outcomes are separated or too few.

    The covariance is the sandwich of Huber (1967), as the weights are not counts of patients.

    Args:
        predictors: [P, K], a constant among them.
        outcome: [P].
        weights: [P], 0 for patients who are left out.
        link: scale of the linear predictor.
        offset: [P], part of the linear predictor that is not fitted.
    """
    used = weights > 0
    x, y, w = predictors[used], outcome[used].astype(np.float64), weights[used]
    fixed = np.zeros(len(x)) if offset is None else offset[used]
    if len(x) <= x.shape[1] or not 0 < y.sum() < len(y):
        return None
    coefficients = np.zeros(x.shape[1])
    if offset is None:
        level = link.of(np.array([(w * y).sum() / w.sum()]))[0]
        coefficients[:] = np.array(np.linalg.lstsq(x, np.full(len(x), level))[0], dtype=np.float64)
    for _ in range(STEPS):
        information, score = _derivatives(x, y, w, fixed + x @ coefficients, link)
        step = _solved(information, score.sum(0))
        if step is None:
            return None
        before = _likelihood(y, w, fixed + x @ coefficients, link)
        for _ in range(HALVINGS):
            if _likelihood(y, w, fixed + x @ (coefficients + step), link) >= before - _ROUNDING:
                break
            step = step / 2
        coefficients = coefficients + step
        if np.abs(y - link.risk(fixed + x @ coefficients)).max() < _SEPARATED:
            return None
        if np.abs(step).max() < _ROUNDING * (1 + np.abs(coefficients).max()):
            linear = fixed + x @ coefficients
            if not np.isfinite(linear).all() or np.abs(coefficients).max() > _STEEPEST:
                return None
            _, score = _derivatives(x, y, w, linear, link)
            bread = np.linalg.inv((x * (w * _curvature(y, linear, link))[:, None]).T @ x)
            return Fit(coefficients, bread @ (score.T @ score) @ bread)
    return None


def _derivatives(x: Array, y: Array, w: Array, linear: Array, link: LinkFunction) -> tuple[Array, Array]:
    """Return the expected information [K, K] and every patient's score [P, K]."""
    risk, slope = np.clip(link.risk(linear), 1e-12, 1 - 1e-12), link.slope(linear)
    variance = risk * (1 - risk)
    information = (x * (w * slope**2 / variance)[:, None]).T @ x
    return information, x * (w * slope / variance * (y - risk))[:, None]


def _likelihood(y: Array, w: Array, linear: Array, link: LinkFunction) -> float:
    """Return the weighted log-likelihood."""
    risk = np.clip(link.risk(linear), 1e-12, 1 - 1e-12)
    return float((w * np.where(y > 0, np.log(risk), np.log1p(-risk))).sum())


def _curvature(y: Array, linear: Array, link: LinkFunction) -> Array:
    """Return minus the log-likelihood's second derivatives [P] by the linear predictor."""
    risk, slope = np.clip(link.risk(linear), 1e-12, 1 - 1e-12), link.slope(linear)
    if link is LinkFunction.LOGIT:
        return slope
    hazard = np.exp(linear)
    curvature: Array = hazard * (1 - y / risk + y * slope / risk**2)
    return curvature


def _solved(information: Array, score: Array) -> Array | None:
    try:
        step = np.linalg.solve(information, score).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def knots_of(values: Array, number: int) -> Array:
    """Return knots [number] at quantiles of the values (Harrell 2015, table 2.3)."""
    ends = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
    return np.unique(np.quantile(values, ends[number]))


def spline(values: Array, knots: Array) -> Array:
    """Return a restricted cubic spline [P, K] of K knots: constant, value and cubic terms.

    It is linear beyond the ends. Stone & Koo (1985), scaled by the square of the range as in Harrell (2015).
    """
    last, second = knots[-1], knots[-2]
    columns = [np.ones(len(values)), values]
    for knot in knots[:-2]:
        term = (
            np.maximum(values - knot, 0.0) ** 3
            - np.maximum(values - second, 0.0) ** 3 * (last - knot) / (last - second)
            + np.maximum(values - last, 0.0) ** 3 * (second - knot) / (last - second)
        )
        columns.append(term / (last - knots[0]) ** 2)
    return np.stack(columns, axis=1)
