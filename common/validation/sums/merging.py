"""Merging of neighbouring cells until enough patients of either outcome are behind each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.assessment.floors import full_cells

Counts = NDArray[np.float64]
"""Patients with the event, and without, by cell [K, 2]."""


def merged_cells(counts: Counts, least: int) -> list[int]:
    """Return the last indices of merged cells that hold everybody; none with too few.

    Args:
        counts: by cell.
        least: patients with the event, and without, of a merged cell.
    """
    ends = full_cells(counts, least)
    if ends:
        ends[-1] = len(counts) - 1  # whoever is left joins the last cell
    return ends


def merged_times(
    counts: Counts, patients: int, least: int, first: Sequence[int], others: Sequence[int]
) -> list[int]:
    """Return the indices of times up to which events and censored patients can be told.

    Between two such times there are `least` patients with the event, and none or `least` who are censored; after the
    last there are `least` patients.

    Args:
        counts: patients with the event, and censored, by time cell [K, 2].
        patients: in all.
        least: fewest patients.
        first: indices that are tried before the others, in order.
        others: indices in order.
    """
    kept: list[int] = []
    for index in [*first, *others]:
        tried = sorted({*kept, index})
        if are_large(counts, patients, least, tried):
            kept = tried
    return kept


def are_large(counts: Counts, patients: int, least: int, ends: Sequence[int]) -> bool:
    """Whether there are enough patients up to, between and after the times with these indices."""
    totals = np.concatenate([np.zeros((1, 2)), np.cumsum(counts, axis=0)])[[0, *(end + 1 for end in ends)]]
    cells = np.diff(totals, axis=0)
    censored = cells[:, 1]
    return bool(
        (cells[:, 0] >= least).all()
        and ((censored == 0) | (censored >= least)).all()
        and patients - totals[-1].sum() >= least
    )
