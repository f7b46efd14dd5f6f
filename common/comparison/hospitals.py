"""Hospitals whose columns or follow-up lie far from the others', result from sums alone.

Every quantity of every hospital has a location on a scale on which another unit is a shift
(`common.comparison.quantity.locations`). A hospital is compared with the median of all others. How far honest
hospitals lie apart is the moderated variance between the others (after Smyth 2004, Stat Appl Genet Mol Biol 3:3):
that of `PRIOR_HOSPITALS` hospitals with the usual deviation, and the robust one of the others themselves. A hospital is
far where it lies more than `REACH` such deviations away, sampling of the patients included, and no nearer than
`LEAST_SHIFT`.

Where nobody can say who is right, nobody is named alone: two hospitals that lie far apart, three that all lie far from
one another, and half of all hospitals or more that lie far from the rest are said to differ.

The constants were chosen on lung, fed-heart, tcga-brca and tcga-blca, and judged on other cohorts by
`consilium bench units`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from common.comparison.form import Subject, ValueForm
from common.comparison.quantity import Array, Quantity, locations

PRIOR_HOSPITALS = 4.0
"""Hospitals that the usual deviation counts as, beside the others of a federation."""


@dataclass(frozen=True)
class Limits:
    """Limits of a difference between honest hospitals.

    Attributes:
        usual: deviation between hospitals, in natural logarithms.
        reach: deviations from where on a hospital is far.
        least: smallest shift that counts, in natural logarithms.
    """

    usual: float
    reach: float
    least: float


LIMITS = {
    Subject.COLUMN: Limits(usual=0.1, reach=3.5, least=0.5),
    Subject.TIME: Limits(usual=0.3, reach=3.0, least=1.6),
}


@dataclass(frozen=True)
class HospitalDifference:
    """Quantity of which hospitals lie far from others.

    Attributes:
        index: of the quantity in the list that was compared.
        sites: the hospital that lies far from all others; or, if several, those that differ, lowest first, of whom
            nobody can say who is right.
        ratio: how many times as large the values of the first are as the others', or as the last's of several.
    """

    index: int
    sites: tuple[str, ...]
    ratio: float

    @property
    def is_one(self) -> bool:
        """Whether one hospital lies far from all others."""
        return len(self.sites) == 1


Sums = Mapping[str, Mapping[str, Array]]
"""Hospital -> name of sums -> [3, N]."""


def differences(
    sites: Sums, quantities: Sequence[Quantity], noise: Mapping[str, Array] | None = None
) -> list[HospitalDifference]:
    """Return the differences between hospitals, in the order of the quantities.

    Args:
        sites: the hospitals' sums.
        quantities: to compare.
        noise: name of sums -> [N] standard deviation of noise in a mean with one patient behind it, in the unit of the
            values; None for exact sums. The noise in a mean of n patients is n times smaller.
    """
    result = []
    for index, quantity in enumerate(quantities):
        if quantity.form is ValueForm.NONE:
            continue
        names, location, variance = _places(sites, quantity, noise or {})
        result += [
            HospitalDifference(index, tuple(names[site] for site in group), ratio)
            for group, ratio in far(location, variance, LIMITS[quantity.subject])
        ]
    return result


def _places(sites: Sums, quantity: Quantity, noise: Mapping[str, Array]) -> tuple[list[str], Array, Array]:
    """Return hospitals [K] with a location of a quantity, locations [K] and variances [K]."""
    indices = list(quantity.indices)
    tables = {
        site: np.sum([named[name][:, indices] for name in quantity.sums if name in named], axis=0)
        for site, named in sites.items()
        if any(name in named for name in quantity.sums)
    }
    by_site = [locations(moments, quantity.form) for moments in tables.values()]
    location, variance = (
        np.array([pair[part] for pair in by_site]).reshape(-1, len(indices)) for part in (0, 1)
    )
    if noise and len(quantity.sums) == 1 and quantity.sums[0] in noise and by_site:
        variance = variance + _noise_variance(
            [*tables.values()], noise[quantity.sums[0]][indices], quantity.form
        )
    if len(indices) > 1:
        location, variance = _as_a_whole(location)
    location, variance = location[:, 0], variance[:, 0]
    present = np.isfinite(location)
    return (
        [site for site, is_known in zip(tables, present, strict=True) if is_known],
        location[present],
        variance[present],
    )


def _noise_variance(tables: Sequence[Array], noise: Array, form: ValueForm) -> Array:
    """Variance [K, N] that noise adds to locations."""
    rows = []
    for moments in tables:
        count = np.maximum(moments[0], 1.0)
        mean = moments[1] / count
        deviation = np.sqrt(np.maximum(moments[2] / count - mean**2, 1e-300))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = {
                ValueForm.RATIO: 1 / np.abs(mean),
                ValueForm.LOGARITHM: np.exp(mean) / np.expm1(mean),
                ValueForm.INTERVAL: 1 / deviation,
            }[form]
            rows.append((slope * noise / count) ** 2)
    return np.stack(rows)


def _as_a_whole(location: Array) -> tuple[Array, Array]:
    """Median shift [K, 1] over the columns of a table from the median of the hospitals."""
    with np.errstate(invalid="ignore"):
        complete = np.isfinite(location).sum(0) >= 2
        if not complete.any():
            return np.full((len(location), 1), np.nan), np.full((len(location), 1), np.nan)
        shift = location[:, complete] - np.nanmedian(location[:, complete], axis=0)
        enough = np.isfinite(shift).sum(1) > 0
        whole = np.full(len(location), np.nan)
        whole[enough] = np.nanmedian(shift[enough], axis=1)
    return whole[:, None], np.where(np.isfinite(whole), 0.0, np.nan)[:, None]


def far(location: Array, variance: Array, limits: Limits) -> list[tuple[tuple[int, ...], float]]:
    """Return (hospitals, ratio) of every difference among locations [K] with variances [K].

    The ratio is that of the first hospital to the others, or to the last where hospitals differ from one another.
    """
    shifts = {
        site: shift
        for site in range(len(location))
        if len(location) >= FEWEST
        and (shift := _far_from_all_others(location, variance, site, limits)) is not None
    }
    all_apart = _apart(location, variance, limits)
    if shifts and not all_apart and 2 * len(shifts) < len(location):
        return [((site,), float(np.exp(shift))) for site, shift in shifts.items()]
    apart = all_apart or tuple(shifts)
    if not apart:
        return []
    ordered = tuple(sorted(apart, key=location.tolist().__getitem__))
    return [(ordered, float(np.exp(location[ordered[0]] - location[ordered[-1]])))]


FEWEST = 3
"""Fewest hospitals of which one can be far from the others."""


def _far_from_all_others(location: Array, variance: Array, site: int, limits: Limits) -> float | None:
    """Return the shift of a hospital from the median of all others; None if it is not far."""
    others, uncertain = np.delete(location, site), np.delete(variance, site)
    middle, number = float(np.median(others)), len(others)
    if number == 2:
        between = float(others.std(ddof=1))
    else:
        between = _DEVIATION_OF_MEDIAN * float(np.median(np.abs(others - middle)))
    usual = (PRIOR_HOSPITALS * limits.usual**2 + (number - 1) * between**2) / (PRIOR_HOSPITALS + number - 1)
    deviation = np.sqrt(usual * (1 + 1 / number) + variance[site] + uncertain.mean() / number)
    shift = float(location[site]) - middle
    return shift if abs(shift) > max(limits.least, limits.reach * float(deviation)) else None


_DEVIATION_OF_MEDIAN = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


def _apart(location: Array, variance: Array, limits: Limits) -> tuple[int, ...]:
    """Return all of two or three hospitals, if each lies far from every other; else none."""
    if not 2 <= len(location) <= FEWEST:
        return ()
    closest = min(second - first for first, second in pairwise(sorted(location.tolist())))
    deviation = np.sqrt(2 * limits.usual**2 + 2 * float(variance.mean()))
    return tuple(range(len(location))) if closest > max(limits.least, limits.reach * deviation) else ()
