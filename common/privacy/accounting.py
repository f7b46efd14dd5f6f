"""Privacy accounting: epsilon and delta that the releases of a cohort cost together.

Both hold for the addition or removal of one patient.

A release is a normal mechanism on a Poisson sample of the patients, repeated; a sampling rate of 1 takes every
patient.
Composition is left to Opacus' accountants: moments (RDP, Mironov et al. 2019) and privacy loss distributions (PRV,
Gopi et al. 2021). Both bound epsilon from above, so the smaller one holds.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.agreement.privacy_settings import LEAST_NOISE
from common.privacy.accountants import accountant

ORDERS = (*(1 + x / 10 for x in range(1, 100)), *range(11, 64), *(2.0**k for k in range(6, 15)))
"""Orders of the moments; a large noise multiplier needs large ones."""


BEYOND_BUDGETS = 100.0
"""Epsilon above which only the moments are computed: discretised loss distributions would take gigabytes."""


LARGEST_GRID = 2_000.0
"""Size of the grid of loss distributions above which only the moments are computed.

It is epsilon times the root of the number of steps, for every mechanism: 2,000 is a second or two.
"""


MOST_NOISE = 1e6
"""Noise multiplier beyond which none is looked for."""


ANSWERS = 1024
"""Number of answers that are kept of either accountant: a plan, a site and a report ask for the same ones again."""


class Release(BaseModel):
    """Something computed from a cohort and sent out.

    Attributes:
        mechanism: `training`, `statistics` and `explanations` are noised; `public-statistics` are exact sums that the
            federation declares public, outside the guarantee; `without-privacy` is training without noise.
        noise_multiplier: standard deviation of the noise over the most that one patient can change; 0 if none is added.
        sampling_rate: probability of a patient to be in a step.
        steps: number of times it was computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: Literal["training", "statistics", "explanations", "public-statistics", "without-privacy"]
    noise_multiplier: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    steps: int = Field(default=1, ge=1)


@dataclass(frozen=True)
class Spend:
    """Epsilon of releases at a delta by two accountants; infinite without noise."""

    rdp: float
    prv: float
    delta: float

    @property
    def epsilon(self) -> float:
        """Smaller of the two upper bounds."""
        return min(self.rdp, self.prv)


def spend(releases: Sequence[Release], delta: float) -> Spend:
    """Compute the epsilon of all releases together."""
    if _is_unbounded(releases):
        return Spend(math.inf, math.inf, delta)
    history = _history(releases)
    rdp = _rdp(history, delta, ORDERS)
    return Spend(rdp, _prv(history, delta, rdp), delta)


def epsilon_within(releases: Sequence[Release], delta: float, limit: float, adaptive: bool = False) -> bool:
    """Return whether all releases cost at most `limit` by either accountant.

    The slower accountant is asked only where the faster one exceeds the limit.

    Where later releases may have been chosen after seeing earlier ones (`adaptive`), only the moments decide: they add
    up in that case too (Feldman & Zrnic 2021), which is not shown for privacy loss distributions.
    """
    if _is_unbounded(releases):
        return False
    history = _history(releases)
    rdp = _rdp(history, delta, ORDERS)
    return rdp <= limit or (not adaptive and _prv(history, delta, rdp) <= limit)


def noise_for(
    epsilon: float, delta: float, releases: Callable[[float], Sequence[Release]], tolerance: float = 1e-3
) -> float:
    """Find the smallest noise multiplier s for which `releases(s)` cost at most epsilon.

    The multiplier is exact to a relative `tolerance`.

    Raises:
        ValueError: if no noise multiplier up to a million is enough.
    """
    from scipy.optimize import brentq  # slow to import, and a site plans nothing

    def excess(log_noise: float) -> float:
        """Logarithm of cost over budget, nearly a straight line in the logarithm of the noise."""
        return math.log(max(spend(releases(math.exp(log_noise)), delta).epsilon, 1e-12) / epsilon)

    def is_enough(log_noise: float) -> bool:
        return epsilon_within(releases(math.exp(log_noise)), delta, epsilon)

    fixed = [
        release for release, noisier in zip(releases(1.0), releases(2.0), strict=True) if release == noisier
    ]
    impossible = f"epsilon {epsilon:g} at delta {delta:g} cannot be reached by more noise"
    if not epsilon_within(fixed, delta, epsilon):  # at once: moments at the most noise can take seconds
        raise ValueError(impossible)
    high, most = 0.0, math.log(MOST_NOISE)
    while not is_enough(high):
        if high == most:
            raise ValueError(impossible)
        high = min(high + math.log(2), most)
    low = high - math.log(2)
    while is_enough(low):
        low, high = low - math.log(2), low
    log_least = float(brentq(excess, low, high, xtol=tolerance / 2))
    while excess(log_least) > 0:
        log_least += tolerance / 2
    return math.exp(log_least)


def _is_unbounded(releases: Sequence[Release]) -> bool:
    return any(_counts(release) and release.noise_multiplier < LEAST_NOISE for release in releases)


def _counts(release: Release) -> bool:
    return release.mechanism != "public-statistics"


_History = tuple[tuple[float, float, int], ...]


def _history(releases: Sequence[Release]) -> _History:
    """Steps in the form of Opacus: (noise, rate, steps), equal noise and rate merged."""
    steps: Counter[tuple[float, float]] = Counter()
    for (_, noise, rate), number in _steps(filter(_counts, releases)).items():
        steps[noise, rate] += number
    return tuple((noise, rate, number) for (noise, rate), number in sorted(steps.items()))


@lru_cache(maxsize=ANSWERS)
def _rdp(history: _History, delta: float, orders: tuple[float, ...]) -> float:
    if not history:
        return 0.0
    moments = accountant("RDPAccountant")
    moments.history = list(history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the first or the last costs tightness only
        return max(0.0, float(moments.get_privacy_spent(delta=delta, alphas=list(orders))[0]))


@lru_cache(maxsize=ANSWERS)
def _prv(history: _History, delta: float, rdp: float) -> float:
    """Epsilon by privacy loss distributions; infinite where that takes long.

    The epsilon of the other accountant, `rdp`, holds then.
    """
    if not history:
        return 0.0
    steps = sum(number for _, _, number in history)
    if rdp > BEYOND_BUDGETS or rdp * math.sqrt(steps) * len(history) > LARGEST_GRID:
        return math.inf
    losses = accountant("PRVAccountant")
    losses.history = list(history)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # log(0) at the end of the support, at a sampling rate of 1
            epsilon = float(losses.get_epsilon(delta=delta, eps_error=0.01))
    except (ValueError, RuntimeError, OverflowError, MemoryError):
        return math.inf
    return max(0.0, epsilon) if math.isfinite(epsilon) else math.inf


def merged(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Merge releases of equal mechanisms by adding their steps."""
    return _releases(_steps(releases))


def most_steps(accounts: Iterable[Sequence[Release]]) -> tuple[Release, ...]:
    """Merge accounts of one cohort: for every mechanism the most steps that an account has."""
    steps: Counter[_Mechanism] = Counter()
    for account in accounts:
        steps |= _steps(account)
    return _releases(steps)


_Mechanism = tuple[Any, float, float]


def _steps(releases: Iterable[Release]) -> Counter[_Mechanism]:
    steps: Counter[_Mechanism] = Counter()
    for release in releases:
        steps[release.mechanism, release.noise_multiplier, release.sampling_rate] += release.steps
    return steps


def _releases(steps: Counter[_Mechanism]) -> tuple[Release, ...]:
    return tuple(
        Release(mechanism=mechanism, noise_multiplier=noise, sampling_rate=rate, steps=number)
        for (mechanism, noise, rate), number in sorted(steps.items())
    )
