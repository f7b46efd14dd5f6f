"""Limits of check figures, from moments over ordinary and over spoilt tables.

Figures of ordinary tables lie between 0 and 1 and follow a beta distribution with the moments' mean and variance, those
of spoilt tables a normal one. A quantile is the limit, because counts in the tail would be of single patients, which do
not leave a hospital.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from common.assessment.part import ROUNDING

Array = NDArray[np.float64]

BUDGET = 0.013
"""Share of ordinary patients about whom all checks together may warn.

Distributions are fitted, and checks of the same patients fail together or apart: it leaves room below 2%.
"""


CLEAR = 1.5
"""Distance of spoilt from ordinary tables, in standard deviations of the difference, from which a check has a share in
the budget. Below it a patient's figure says little, and a table's mean says enough."""


CAUTIOUS = 0.001
"""Share of ordinary patients about whom a check warns that is not clear, or less so than another of its modalities.

It still finds turned signs."""


RAREST = 0.0002
"""Least share of ordinary patients about whom a check warns; further out no fitted tail is believed."""


WITHHELD = 0.0005
"""Share of ordinary patients, at the most, whose forecast a check withholds."""


LEAST_CAUGHT, LEAST_TURNED = 0.15, 0.5
"""Least shares of spoilt tables, and of turned signs, of which a check has to find one of the two to be made."""


UNUSUAL, IMPOSSIBLE = 4.5, 6.0
"""Standard deviations of a size from which there is a warning, or no forecast."""


TOGETHER = 3.5
"""Standard errors of a table's mean from which there is no forecast."""


LEAST_GAP = 0.5
"""Share of columns that a patient must lack beyond what is ordinary before there is a warning."""


class Check(StrEnum):
    """Kind of check."""

    STRUCTURE = "structure"
    """Share of squares outside of the training patients' directions; spoilt by another order of columns."""
    AGREEMENT = "agreement"
    """Disagreement of the same columns in two modalities; spoilt by another patient's table."""
    SIZE = "size"
    """Logarithm of the mean square; spoilt by another unit."""
    OBSERVED = "observed"
    """Share of the columns that have a value."""
    EXTREME = "extreme"
    """Values at the limit of what is standardised."""


Key = tuple[Check, tuple[str, ...]]
"""Kind of a figure, and the modalities that it is about."""


@dataclass(frozen=True)
class Moments:
    """Moments of a figure over training patients.

    Attributes:
        number: of patients.
        mean: of ordinary tables.
        variance: of these.
        spoilt_mean: of the same tables after they were spoilt.
        spoilt_variance: of these.
        between: variance of hospitals' means beyond that of their patients.
    """

    number: float
    mean: float
    variance: float
    spoilt_mean: float
    spoilt_variance: float
    between: float


@dataclass(frozen=True)
class FigureLimit:
    """Limits of a figure; a higher one is worse.

    Attributes:
        check: kind of figure.
        modalities: that it is about.
        mean: over training patients.
        deviation: over training patients.
        between: standard deviation of hospitals' means.
        spoilt: mean over spoilt tables.
        look: above which there is a warning.
        withheld: above which there is no forecast.
        caught: share of spoilt tables above `look`, as fitted; NaN where none were made.
    """

    check: Check
    modalities: tuple[str, ...]
    mean: float
    deviation: float
    between: float
    spoilt: float
    look: float
    withheld: float
    caught: float

    def table_limit(self, patients: int) -> float:
        """Mean over so many patients of one table above which it is no ordinary table.

        It lies nearer to ordinary tables than to spoilt ones, however few the patients.
        """
        error = float(np.hypot(self.deviation / np.sqrt(patients), self.between))
        nearest = self.mean + TOGETHER * error
        return nearest if np.isnan(self.spoilt) else max(nearest, (self.mean + self.spoilt) / 2)


FIGURE = 5
"""Sums of a figure: patients, the figure and its square, and those of the spoilt table."""


def are_possible(sums: Array, low: float, high: float) -> bool:
    """Whether patients can have the sums [5] of a figure that lies between two numbers."""
    number = float(sums[0])
    if number < 1 or number != np.floor(number):
        return False
    return all(
        low <= first / number <= high and first**2 / number <= squares * (1 + ROUNDING) + ROUNDING
        for first, squares in (sums[1:3].tolist(), sums[3:5].tolist())
    )


def moments(sites: list[Array]) -> Moments | None:
    """Combine hospitals' sums [5] of a figure; None where no hospital could tell it."""
    reporting = [sums for sums in sites if sums[0] >= 1]
    if not reporting:
        return None
    number, first, squares, spoilt, spoilt_squares = np.sum(reporting, axis=0)
    mean, spoilt_mean = first / number, spoilt / number
    variance = max(squares / number - mean**2, 0.0)
    between = 0.0
    if len(reporting) > 1:
        excess = [(sums[1] / sums[0] - mean) ** 2 - variance / sums[0] for sums in reporting]
        between = max(float(np.average(excess, weights=[sums[0] for sums in reporting])), 0.0)
    return Moments(
        float(number),
        float(mean),
        float(variance),
        float(spoilt_mean),
        max(float(spoilt_squares / number - spoilt_mean**2), 0.0),
        between,
    )


def share_limits(moments_of: dict[Key, Moments]) -> list[FigureLimit]:
    """Place the limits of figures between 0 and 1.

    Ordinary and spoilt tables cross where both are mistaken equally often. A figure whose crossing is rare enough takes
    that for its limit; the others, the same share of what is left of the budget, or little where they are not clear. A
    figure that finds too little is left out.
    """
    kept = dict(moments_of)
    while kept:
        made = [_shares(key, kept[key], level) for key, level in _levels(kept).items()]
        useless = [limit for limit in made if not _is_useful(limit, kept[limit.check, limit.modalities])]
        if not useless:
            return made
        for limit in useless:
            del kept[limit.check, limit.modalities]
    return []


def _levels(moments_of: dict[Key, Moments]) -> dict[Key, float]:
    """Choose the share of ordinary patients about whom every figure warns."""
    crossing = {key: max(_crossing(figure), RAREST) for key, figure in moments_of.items()}
    crossing = {
        key: level if _is_clear(key, moments_of) else min(level, CAUTIOUS) for key, level in crossing.items()
    }
    levels, left, rest = dict[Key, float](), BUDGET, len(crossing)
    for key in sorted(crossing, key=lambda key: crossing[key]):
        levels[key] = min(crossing[key], left / rest)
        left, rest = left - levels[key], rest - 1
    return {key: levels[key] for key in moments_of}


def _is_clear(key: Key, moments_of: dict[Key, Moments]) -> bool:
    """Whether a check is clear enough, and no clearer one of agreement shares a modality."""
    check, modalities = key
    clearness = _clearness(moments_of[key])
    rivals = [
        _clearness(figure)
        for (other, others), figure in moments_of.items()
        if other is check is Check.AGREEMENT and set(others) & set(modalities)
    ]
    return clearness >= max([CLEAR, *rivals])


def _clearness(figure: Moments) -> float:
    deviation = max(figure.variance + figure.spoilt_variance, 1e-12) ** 0.5
    return float((figure.spoilt_mean - figure.mean) / deviation)


def _crossing(figure: Moments) -> float:
    """Share of ordinary figures above the point below which the same share of spoilt ones lies."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        is_below = _above(figure, middle) > 1 - _spoilt_above(figure, middle)
        low, high = (middle, high) if is_below else (low, middle)
    return _above(figure, high)


def _is_useful(limit: FigureLimit, figure: Moments) -> bool:
    turned = replace(figure, mean=1 - figure.mean)
    is_agreement = limit.check is Check.AGREEMENT
    return limit.caught >= LEAST_CAUGHT or (is_agreement and _above(turned, limit.look) >= LEAST_TURNED)


def _shares(key: Key, figure: Moments, level: float) -> FigureLimit:
    limit = _limit(figure, level)
    if level <= RAREST:
        limit = max(limit, (figure.mean + figure.spoilt_mean) / 2)
    return FigureLimit(
        *key,
        figure.mean,
        float(np.sqrt(figure.variance)),
        float(np.sqrt(figure.between)),
        figure.spoilt_mean,
        limit,
        max(limit, _limit(figure, WITHHELD)),
        _spoilt_above(figure, limit),
    )


def size_limit(modality: str, figure: Moments) -> FigureLimit:
    """Place the limits of a size: of the distance of its logarithm from the mean."""
    deviation = float(np.sqrt(figure.variance + figure.between))
    return _plain(Check.SIZE, modality, figure, UNUSUAL * deviation, IMPOSSIBLE * deviation)


def observed_limit(modality: str, figure: Moments) -> FigureLimit:
    """Place the limit of the share of columns that lack a value; it withholds nothing by itself."""
    deviation = float(np.sqrt(figure.variance + figure.between))
    look = 1 - figure.mean + max(UNUSUAL * deviation, LEAST_GAP)
    return _plain(Check.OBSERVED, modality, figure, look, float("inf"))


def _plain(check: Check, modality: str, figure: Moments, look: float, withheld: float) -> FigureLimit:
    deviation, between, nan = float(np.sqrt(figure.variance)), float(np.sqrt(figure.between)), float("nan")
    return FigureLimit(check, (modality,), figure.mean, deviation, between, nan, look, withheld, nan)


def _beta(figure: Moments) -> tuple[float, float] | None:
    """Parameters of the beta distribution of ordinary figures; None for one that is a point."""
    largest = figure.mean * (1 - figure.mean)
    if figure.variance <= 1e-12 or largest <= 1e-12:
        return None
    size = max(largest / figure.variance - 1, 1e-3)
    return figure.mean * size, (1 - figure.mean) * size


def _above(figure: Moments, limit: float) -> float:
    """Share of ordinary figures above a limit."""
    from scipy.special import betainc

    parameters = _beta(figure)
    return float(figure.mean > limit) if parameters is None else float(1 - betainc(*parameters, limit))


def _spoilt_above(figure: Moments, limit: float) -> float:
    """Share of spoilt figures above a limit."""
    from scipy.special import ndtr

    deviation = max(figure.spoilt_variance, 1e-12) ** 0.5
    return float(ndtr((figure.spoilt_mean - limit) / deviation))


def _limit(figure: Moments, level: float) -> float:
    """FigureLimit above which this share of ordinary figures lies."""
    from scipy.special import betaincinv

    parameters = _beta(figure)
    return figure.mean if parameters is None else float(betaincinv(*parameters, 1 - level))
