"""Thresholds of scores from hospitals' sums, by conformal prediction.

Events count by the inverse probability of being uncensored (Candes, Lei & Ren 2023, Conformalized survival analysis;
Gui et al. 2024; Sesia & Svetnik 2025). The share of patients
whose score is below a threshold is the sum of weights below it over all patients, plus one for the patient to come. The
threshold of a level is the highest that leaves at most 1 - level below.

A hospital's share is the pooled one, raised on the scale of cumulative hazards by its own level, which
`common.calibration.levels` draws towards the others'; with fewer than `LEAST_OWN` events it is the pooled one.
Hospitals with fewer events than the minimum count do not tell them: they count with the events that are expected of so
few. Of three hospitals or more, each counts below a score with at most `MOST_OF_OTHERS` times the share of the others,
so that none draws the bounds of all to 0 by events that it did not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy
from scipy.stats import poisson as poisson_law

from common.calibration.levels import GRID, fit_levels
from common.calibration.likelihoods import Tally, poisson
from common.intervals.steps import EDGES, cumulative

Array = NDArray[np.float64]


LEAST_OWN = 20
"""Events at a hospital, or patients of other outcomes, without which it has the pooled threshold."""

MOST_OF_OTHERS, ALLOWED = 3.0, 3.0
"""Most that a hospital counts below a score: times the share of the other hospitals, and patients beyond it."""

LEAST_LIMITED = 3
"""Hospitals that tell events, without which none is limited by the others."""


@dataclass(frozen=True)
class SiteSteps:
    """Sums of a hospital for one outcome.

    Attributes:
        patients: whose outcome is known.
        least: the hospital's minimum count.
        events: behind the steps; 0 where they are not told.
        steps: [steps] weights, merged.
    """

    patients: int
    least: int
    events: int
    steps: Array


@dataclass(frozen=True)
class Thresholds:
    """Threshold of every level.

    Attributes:
        pooled: [levels] for a hospital of which nothing is known.
        hospitals: name -> [levels], of those with `LEAST_OWN` events.
    """

    pooled: Array
    hospitals: dict[str, Array]


def fit_thresholds(sites: Mapping[str, SiteSteps], levels: tuple[float, ...]) -> Thresholds:
    """Fit the thresholds of all hospitals.

    Args:
        sites: hospital -> sums; one at least tells its events.
        levels: shares of cases that an interval shall hold.
    """
    patients = sum(site.patients for site in sites.values())
    telling = {name: site for name, site in sites.items() if site.events}
    events = sum(site.events for site in telling.values())
    below = {name: cumulative(site.steps, site.least) for name, site in telling.items()}
    profile = np.sum(_limited(telling, below), axis=0) / events  # weights below an edge, per event
    hidden = [site for site in sites.values() if not site.events]
    rate = events / sum(site.patients for site in telling.values())
    for _ in range(50):
        rate = (events + _few(hidden, rate)) / patients
    whole = (rate * patients * profile + 1) / (patients + 1)
    pooled = np.array([_threshold(whole, level, 1.0) for level in levels])
    made = {name: np.zeros(len(levels)) for name, site in sites.items() if site.events >= LEAST_OWN}
    if not made:
        return Thresholds(pooled, made)
    for column, level in enumerate(levels):
        mass = float(np.interp(pooled[column], EDGES, profile))
        heavy = max(float(profile[-1]), 1.0)
        likelihoods = [
            _counted(
                float(np.interp(pooled[column], EDGES, below[name])) / heavy,
                rate * site.patients * mass / heavy,
            )
            if site.events
            else poisson(Tally(None, site.patients, site.least), rate * site.patients * np.exp(GRID))
            for name, site in sites.items()
        ]
        fitted = fit_levels(likelihoods)
        for name, ratio in zip(sites, fitted.hospitals, strict=True):
            if name in made:
                made[name][column] = _threshold(whole, level, float(np.exp(ratio.value)))
    return Thresholds(pooled, made)


def _limited(sites: Mapping[str, SiteSteps], below: Mapping[str, Array]) -> list[Array]:
    """Limit the weights [steps + 1] of every hospital below every edge by those of the others."""
    if len(sites) < LEAST_LIMITED:
        return list(below.values())
    whole, patients = np.sum(list(below.values()), axis=0), sum(site.patients for site in sites.values())
    return [
        np.minimum(
            below[name],
            MOST_OF_OTHERS * site.patients * (whole - below[name]).clip(0.0) / (patients - site.patients)
            + ALLOWED,
        )
        for name, site in sites.items()
    ]


def _few(sites: Sequence[SiteSteps], rate: float) -> float:
    """Expected events of hospitals that have too few to tell, with or without an event.

    The sum of k p(k) over such k is the mean times that of p(k - 1).
    """
    patients, least = np.array([(site.patients, site.least) for site in sites]).reshape(-1, 2).T
    mean, above = rate * patients, patients - least
    chance = poisson_law.cdf(least - 1, mean) + poisson_law.sf(above, mean)
    below = poisson_law.cdf(least - 2, mean) + poisson_law.sf(above - 1, mean)
    return float(np.minimum(mean * below / np.clip(chance, 1e-300, None), patients).sum())


def _counted(count: float, expected: float) -> Array:
    """Log-likelihood of a count, which weights and even steps make a fraction."""
    means = max(expected, 1e-9) * np.exp(GRID)
    likelihood: Array = xlogy(count, means) - means - gammaln(count + 1)
    return likelihood


def _threshold(whole: Array, level: float, ratio: float) -> float:
    """Return the highest score below which at most 1 - level of a hospital's patients are.

    Args:
        whole: [steps + 1] share of all patients below every edge.
        level: share of cases that are to be held.
        ratio: of the hospital's cumulative hazard to that of all.
    """
    allowed = 1 - level ** (1 / ratio)
    shares = np.maximum.accumulate(whole)
    if shares[0] > allowed:
        return 0.0
    if shares[-1] <= allowed:
        return 1.0
    right = int(np.argmax(shares > allowed))
    step = (allowed - shares[right - 1]) / (shares[right] - shares[right - 1])
    return float(EDGES[right - 1] + step * (EDGES[right] - EDGES[right - 1]))
