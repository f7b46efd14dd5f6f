"""Minimum counts of patients behind the numbers that a hospital tells."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def are_few(count: float, least: int) -> bool:
    """Whether there are some patients, and fewer than `least`."""
    return 0 < count < least


def are_apart(some: float, everybody: float, least: int) -> bool:
    """Whether there are `least` patients of some kind, and `least` others."""
    return least <= some <= everybody - least


def full_cells(counts: NDArray[np.number], least: int) -> list[int]:
    """Return the last indices of merged neighbouring cells that are full.

    Args:
        counts: patients by cell and kind [K, kinds].
        least: patients of every kind in a merged cell.
    """
    ends: list[int] = []
    inside = np.zeros(counts.shape[1])
    for index, cell in enumerate(counts):
        inside = inside + cell
        if (inside >= least).all():
            ends.append(index)
            inside = np.zeros(counts.shape[1])
    return ends


def merged(numbers: Array, ends: Sequence[int]) -> Array:
    """Sum numbers [K] by merged cells, each in its last place, with 0 everywhere else.

    Numbers behind the last of `ends` are left out.
    """
    sums = np.zeros(len(numbers))
    if ends:
        starts = [0, *(end + 1 for end in ends[:-1])]
        sums[list(ends)] = np.add.reduceat(numbers[: ends[-1] + 1], starts)
    return sums
