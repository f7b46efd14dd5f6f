"""Limits on what a single hospital's figure can do to a figure of all."""

from collections.abc import Sequence
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEVIATION_OF_MEDIAN = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

FEWEST = 3
"""Hospitals of which one can be told from the rest."""


def limits(values: Array, reach: float, least: float | Array = 0.0) -> tuple[Array, Array]:
    """Ends [...] beyond which a value of one hospital is out of the others' reach.

    They lie `reach` robust standard deviations (Rousseeuw & Croux 1993) on either side of the median. With fewer than
    three hospitals there are none.

    Args:
        values: [K, ...] of the hospitals; not-a-number where a hospital has none.
        reach: in standard deviations.
        least: smallest standard deviation that is taken for one.
    """
    if len(values) < FEWEST:
        beyond = np.full(values.shape[1:], np.inf)
        return -beyond, beyond
    middle = np.nanmedian(values, axis=0)
    deviation = DEVIATION_OF_MEDIAN * np.nanmedian(np.abs(values - middle), axis=0)
    width = reach * np.maximum(deviation, least)
    return middle - width, middle + width


TIMES_MEDIAN = 3.0
"""Times the median hospital's patients that a hospital of undeclared size counts for, at most."""


def most_undeclared(patients: Sequence[float]) -> float:
    """Return the most patients that a hospital of undeclared size counts for."""
    return TIMES_MEDIAN * median_low(patients) if patients else 0.0
