"""What a cohort's releases cost together, as (epsilon, delta) for the addition or removal of one patient.

Every release is a normal mechanism on a Poisson sample of the patients, repeated; a sampling rate of 1 takes everyone.
Composition is left to Opacus' accountants: moments (RDP, Mironov et al. 2019) and privacy loss distributions (PRV,
Gopi et al. 2021). Both bound epsilon from above, so the smaller one holds.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ORDERS = [1 + x / 10 for x in range(1, 100)] + list(range(11, 64)) + [2.0**k for k in range(6, 15)]
"""Orders of the moments; a large noise multiplier needs large ones."""


BEYOND_BUDGETS = 100.0
"""Above this epsilon the distributions are not asked: discretising them takes gigabytes, to no hospital's use."""


class Release(BaseModel):
    """Something computed from a cohort and sent out.

    Attributes:
        mechanism: `training` and `statistics` are noised; `public-statistics` are exact sums that the federation
            declares public, outside the guarantee; `without-privacy` is training without noise.
        noise_multiplier: standard deviation of the noise over the most that one patient can change; 0 if none is added.
        sampling_rate: probability with which each patient is in a step.
        steps: how often it was computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: Literal["training", "statistics", "public-statistics", "without-privacy"]
    noise_multiplier: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    steps: int = Field(default=1, ge=1)


@dataclass(frozen=True)
class Spend:
    """Epsilon of some releases at a delta by both accountants; infinite if one of them had no noise."""

    rdp: float
    prv: float
    delta: float

    @property
    def epsilon(self) -> float:
        """The smaller of two upper bounds."""
        return min(self.rdp, self.prv)


def spend(releases: Sequence[Release], delta: float) -> Spend:
    """What all the releases cost together."""
    if _is_unbounded(releases):
        return Spend(math.inf, math.inf, delta)
    history = _history(releases)
    rdp = _rdp(history, delta)
    return Spend(rdp, _prv(history, delta, rdp), delta)


def epsilon_within(releases: Sequence[Release], delta: float, limit: float, adaptive: bool = False) -> bool:
    """Whether the releases cost no more than `limit` by either accountant; the slower is asked only if need be.

    Where later releases may have been chosen after seeing earlier ones (`adaptive`), only the moments decide: they add
    up in that case too (Feldman & Zrnic 2021), which is not shown for privacy loss distributions.
    """
    if _is_unbounded(releases):
        return False
    history = _history(releases)
    rdp = _rdp(history, delta)
    return rdp <= limit or (not adaptive and _prv(history, delta, rdp) <= limit)


def noise_for(
    epsilon: float, delta: float, releases: Callable[[float], Sequence[Release]], tolerance: float = 1e-3
) -> float:
    """The smallest noise multiplier s, to a relative `tolerance`, for which `releases(s)` cost at most epsilon.

    Raises:
        ValueError: if no noise multiplier up to a million is enough.
    """
    from scipy.optimize import brentq  # a site, which plans nothing, is spared its import

    def excess(log_noise: float) -> float:
        """Positive where it costs too much; nearly a straight line."""
        return math.log(max(spend(releases(math.exp(log_noise)), delta).epsilon, 1e-12) / epsilon)

    high = 0.0
    while excess(high) > 0:
        high += math.log(2)
        if high > math.log(1e6):
            raise ValueError(f"epsilon {epsilon:g} at delta {delta:g} cannot be reached by more noise")
    low = high - math.log(2)
    while excess(low) <= 0:
        low, high = low - math.log(2), low
    found = float(brentq(excess, low, high, xtol=tolerance / 2))
    while excess(found) > 0:
        found += tolerance / 2
    return math.exp(found)


def _is_unbounded(releases: Sequence[Release]) -> bool:
    return any(_counts(release) and release.noise_multiplier == 0 for release in releases)


def _counts(release: Release) -> bool:
    return release.mechanism != "public-statistics"


def _history(releases: Sequence[Release]) -> list[tuple[float, float, int]]:
    """Opacus' form, equal mechanisms merged."""
    steps: Counter[tuple[float, float]] = Counter()
    for release in releases:
        if _counts(release):
            steps[release.noise_multiplier, release.sampling_rate] += release.steps
    return [(noise, rate, number) for (noise, rate), number in sorted(steps.items())]


def _rdp(history: list[tuple[float, float, int]], delta: float) -> float:
    if not history:
        return 0.0
    from opacus.accountants import RDPAccountant  # slow to import, and most processes never ask

    accountant = RDPAccountant()
    accountant.history = history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the first or the last costs tightness only
        return max(0.0, float(accountant.get_privacy_spent(delta=delta, alphas=ORDERS)[0]))


def _prv(history: list[tuple[float, float, int]], delta: float, rdp: float) -> float:
    """Infinite where the numbers are beyond what can be discretised: the other accountant's `rdp` then holds."""
    if not history:
        return 0.0
    if rdp > BEYOND_BUDGETS:
        return math.inf
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = history
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # log(0) at the end of the support, at a sampling rate of 1
            found = float(accountant.get_epsilon(delta=delta, eps_error=0.01))
    except (ValueError, RuntimeError, OverflowError, MemoryError):
        return math.inf
    return max(0.0, found) if math.isfinite(found) else math.inf


def merged(releases: Iterable[Release]) -> tuple[Release, ...]:
    """The same releases with the steps of equal mechanisms added up."""
    return _releases(_steps(releases))


def largest(accounts: Iterable[Sequence[Release]]) -> tuple[Release, ...]:
    """For every mechanism the most steps that one of several accounts of the same cohort knows of."""
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
