"""Mean and standard deviation from sums that add over hospitals."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDING = 1e-6
"""Share of a limit by which sums of float32 values may exceed it."""


def mean_and_deviation(moments: Array) -> tuple[Array, Array]:
    """Return mean [N] and standard deviation [N] from counts, sums and sums of squares [3, N]."""
    count = np.maximum(moments[0], 1.0)
    mean = moments[1] / count
    return mean, np.sqrt(np.maximum(moments[2] / count - mean**2, 0.0))


def are_possible(moments: Array, low: Array, high: Array, noised: bool = False) -> Mask:
    """Return for each column of moments [3, N] whether values within its ends [N] can have them.

    With noise, counts are not whole, and a variance may be as large as the ends allow wherever the mean lies.
    """
    count, total, squares = moments
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.maximum(np.abs(low), np.abs(high))
        room = np.where(np.isfinite(size), ROUNDING * np.maximum(size, 1.0), 0.0)
        within = (total >= (low - room) * count) & (total <= (high + room) * count)
        spread = squares * np.maximum(count, 1.0) >= total**2 * (1 - ROUNDING)
        # of values x within the ends, (x - low) (high - x) is nowhere negative
        highest = np.where(noised, 2 * size**2 * count, (low + high) * total - low * high * count)
        bounded = np.isinf(size) | (squares <= highest + size * room * count)
    present = (count > 0) & within & spread & bounded & (noised | (count == np.floor(count)))
    possible: Mask = np.isfinite(moments).all(axis=0) & (present | ~moments.any(axis=0))
    return possible
