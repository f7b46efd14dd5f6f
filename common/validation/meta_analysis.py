"""Random-effects meta-analysis over hospitals, with a prediction interval for another.

Variance between hospitals by restricted maximum likelihood, the mean's interval by Hartung & Knapp (2001) and Sidik &
Jonkman (2002), the prediction interval by Higgins, Thompson & Spiegelhalter (2009), all as Debray et al. (2017) advise
for prediction models. Concordance is pooled on the logit, O/E on the logarithm (Snell, Ensor & Debray 2018).
"""

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.observed import Array

LEAST_HOSPITALS = 3
"""Fewer hospitals leave no degree of freedom for a prediction interval."""


class Scale(StrEnum):
    """Scale on which figures of hospitals are pooled."""

    PLAIN = "as it is"
    LOG = "logarithm"
    LOGIT = "logit"

    def of(self, value: float) -> float:
        """Transform a figure."""
        if self is Scale.LOG:
            return math.log(value)
        return math.log(value / (1 - value)) if self is Scale.LOGIT else value

    def back(self, value: float) -> float:
        """Return a figure from a transformed one."""
        if self is Scale.LOG:
            return math.exp(min(value, 700.0))
        return 1 / (1 + math.exp(-max(min(value, 700.0), -700.0))) if self is Scale.LOGIT else value


class Pooled(ValidationRecord):
    """Figure over hospitals.

    Attributes:
        hospitals: number of hospitals with a figure.
        mean: average hospital, with its 95% interval.
        predicted: ends of the 95% interval in which the figure of another such hospital is expected.
        between: standard deviation between hospitals on the scale of pooling.
        scale: of pooling.
    """

    hospitals: int
    mean: IntervalEstimate
    predicted: tuple[float, float]
    between: float
    scale: str


def pool(figures: Sequence[tuple[float, float]], scale: Scale) -> Pooled | None:
    """Pool figures of hospitals; None for fewer than `LEAST_HOSPITALS`.

    A figure with an effect or a weight beyond all numbers is left out.

    Args:
        figures: of every hospital, with the standard error on `scale`.
        scale: of pooling.
    """
    from scipy.stats import t as student

    counting = [(value, error) for value, error in figures if _counts(value, error)]
    if len(counting) < LEAST_HOSPITALS:
        return None
    effects = np.array([scale.of(value) for value, _ in counting])
    variances = np.array([error**2 for _, error in counting])
    between = _between(effects, variances)
    weights = 1 / (variances + between)
    mean = float((weights * effects).sum() / weights.sum())
    free = len(counting) - 1
    variance = float((weights * (effects - mean) ** 2).sum() / free / weights.sum())
    half = float(student.ppf(0.975, free)) * math.sqrt(variance)
    reach = float(student.ppf(0.975, free - 1)) * math.sqrt(between + variance)
    back = scale.back
    return Pooled(
        hospitals=len(counting),
        mean=IntervalEstimate.of(back(mean), back(mean - half), back(mean + half)),
        predicted=(back(mean - reach), back(mean + reach)),
        between=math.sqrt(between),
        scale=scale.value,
    )


def _counts(value: float, error: float) -> bool:
    """Whether a figure is finite, and the square of its error and the inverse of that."""
    return math.isfinite(value) and 1e-100 < error < 1e100


def _between(effects: Array, variances: Array) -> float:
    """Variance between hospitals that maximises the restricted likelihood (Viechtbauer 2005)."""
    from scipy.optimize import minimize_scalar

    def loss(between: float) -> float:
        weights = 1 / (variances + between)
        mean = (weights * effects).sum() / weights.sum()
        return float(-np.log(weights).sum() + np.log(weights.sum()) + (weights * (effects - mean) ** 2).sum())

    highest = float(np.ptp(effects) ** 2 + 1e-12)
    minimum = minimize_scalar(
        loss, bounds=(0.0, highest), method="bounded", options={"xatol": 1e-10 * highest}
    )
    return 0.0 if loss(0.0) <= float(minimum.fun) else float(minimum.x)


def concordance_error(concordance: float, events: int, others: int) -> float:
    """Standard error of a concordance's logit from the numbers of either outcome.

    Method 4 of Newcombe, as Debray et al. (2019) use it where a study gives no interval. NaN at 0 and 1.
    """
    c = concordance
    if not 0 < c < 1 or not events or not others:
        return math.nan
    half = (events + others) / 2 - 1
    variance = c * (1 - c) * (1 + half * (1 - c) / (2 - c) + half * c / (1 + c)) / (events * others)
    return math.sqrt(variance) / (c * (1 - c))
