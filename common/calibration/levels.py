"""Levels of hospitals, drawn together by a hierarchical model.

A hospital's level is normal around the pooled one (Gelman et al. 2013, Bayesian Data Analysis, chapter 5); the
deviation has a half-normal prior of scale `PRIOR`, and everything is summed over grids. Fewer events than the minimum
count are not told, and the likelihood of such a hospital is that of having fewer: if only the others counted,
hospitals with many events would speak for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID: Array = np.linspace(-3.0, 3.0, 301)
"""Levels that are tried."""

PRIOR = 0.25

WIDEST = 1.5
"""Largest deviation of hospitals' levels that is tried."""

_DEVIATIONS: Array = np.linspace(0.0, WIDEST, 31)

FARTHEST_LEVEL = float(GRID[-1]) + WIDEST**2 / 2
"""Farthest level that is fitted: that of a hospital of which nothing is known."""

LARGEST_ERROR = float(np.hypot(GRID[-1], WIDEST))
"""Largest standard deviation of a fitted level's error."""

_LEAST = 1e-300


@dataclass(frozen=True)
class HospitalLevel:
    """Level with the standard deviation of its error."""

    value: float
    error: float


@dataclass(frozen=True)
class Levels:
    """Fitted levels.

    Attributes:
        pooled: for a hospital of which nothing is known; its error includes the spread over hospitals.
        deviation: of the hospitals' levels.
        hospitals: [S] in the order of the likelihoods.
    """

    pooled: HospitalLevel
    deviation: float
    hospitals: tuple[HospitalLevel, ...]


def fit_levels(likelihoods: Sequence[Array], are_factors: bool = True) -> Levels:
    """Fit pooled level, deviation and hospitals' levels.

    Args:
        likelihoods: S log-likelihoods [levels] of what a hospital told, at the levels of `GRID`.
        are_factors: whether expected events are proportional to exp(level): its mean is then taken, so that they add
            up, and else that of the level.

    Raises:
        ValueError: if there is no hospital.
    """
    table = np.stack(likelihoods)
    table = np.exp(table - table.max(axis=1, keepdims=True))
    marginals = np.stack([table @ _around(deviation) for deviation in _DEVIATIONS.tolist()]).clip(_LEAST)
    scores = np.log(marginals).sum(axis=1) - (_DEVIATIONS[:, None] / PRIOR) ** 2 / 2
    posterior = np.exp(scores - scores.max())
    posterior /= posterior.sum()
    center, error = _moments(posterior.sum(axis=0), are_factors)
    variance = float(posterior.sum(axis=1) @ _DEVIATIONS**2)
    spread = np.zeros_like(table)
    for weights, marginal, of in zip(posterior, marginals, _DEVIATIONS.tolist(), strict=True):
        spread += table * ((weights / marginal) @ _around(of).T)
    return Levels(
        pooled=HospitalLevel(
            center + (variance / 2 if are_factors else 0.0), float(np.hypot(error, np.sqrt(variance)))
        ),
        deviation=float(np.sqrt(variance)),
        hospitals=tuple(HospitalLevel(*_moments(weights, are_factors)) for weights in spread),
    )


def fit_means(means: Sequence[float], variances: Sequence[float]) -> Levels:
    """Fit levels to means of numbers, with the spread of DerSimonian & Laird 1986.

    Args:
        means: S mean errors.
        variances: [S] of these means, more than 0.
    """
    values, weights = np.array(means), 1 / np.array(variances)
    center = float(weights @ values / weights.sum())
    spread = float(weights @ (values - center) ** 2) - (len(values) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, spread / scale) if scale > 0 else 0.0
    shared = 1 / (1 / weights + between)
    pooled, error = float(shared @ values / shared.sum()), float(1 / np.sqrt(shared.sum()))
    kept = between / (between + 1 / weights)  # share of a hospital's level that is its own mean
    hospitals = kept * values + (1 - kept) * pooled
    errors = np.sqrt(kept / weights + ((1 - kept) * error) ** 2)
    return Levels(
        pooled=HospitalLevel(pooled, float(np.hypot(error, np.sqrt(between)))),
        deviation=float(np.sqrt(between)),
        hospitals=tuple(map(HospitalLevel, hospitals.tolist(), errors.tolist())),
    )


@cache
def _around(deviation: float) -> Array:
    """Probability [level, pooled level] of a hospital's level."""
    if deviation == 0:
        return np.eye(len(GRID))
    weights = np.exp(-((GRID[:, None] - GRID[None, :]) ** 2) / (2 * deviation**2))
    probability: Array = weights / weights.sum(axis=0)
    return probability


def _moments(weights: Array, are_factors: bool) -> tuple[float, float]:
    """Return the mean, or the logarithm of the mean of exp(level), and the deviation of levels."""
    share = weights / max(float(weights.sum()), _LEAST)
    mean = float(share @ GRID)
    deviation = float(np.sqrt(max(float(share @ (GRID - mean) ** 2), 0.0)))
    return float(np.log(share @ np.exp(GRID))) if are_factors else mean, deviation
