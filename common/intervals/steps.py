"""Sums over steps of a score with the minimum count of patients behind every step.

Steps with fewer are merged with the next. A merged step stands in its last place, with zeros in the places before:
every patient adds more than 0, so that the zeros tell where a step begins. It ends with the patient who makes its
number full: of `least` patients one is in its last place, and the others are taken to be spread evenly over it.
"""

import numpy as np
from numpy.typing import NDArray

from common.intervals.shapes import STEPS

Array = NDArray[np.float64]

EDGES: Array = np.linspace(0.0, 1.0, STEPS + 1)
"""Ends of the steps."""


def merged_steps(scores: Array, weights: Array, least: int) -> Array:
    """Sum weights [P] by steps of scores [P] between 0 and 1, over `least` patients each.

    Fewer than `least` patients give zeros [steps].
    """
    merged = np.zeros(STEPS)
    if len(scores) < max(least, 1):
        return merged
    index = np.minimum((scores * STEPS).astype(np.intp), STEPS - 1)
    counts = np.bincount(index, minlength=STEPS)
    mass = np.bincount(index, weights, minlength=STEPS)
    last, held, pending = -1, 0.0, 0
    for step in range(STEPS):
        held, pending = held + float(mass[step]), pending + int(counts[step])
        if pending >= max(least, 1):
            merged[step], last, held, pending = held, step, 0.0, 0
    merged[last] += held  # too few patients are left for a step of their own
    return merged


def cumulative(merged: Array, least: int) -> Array:
    """Return the mass [steps + 1] below every edge.

    Args:
        merged: [steps] of a hospital.
        least: patients behind a step.
    """
    ends = np.flatnonzero(merged)
    below = np.concatenate([[0.0], merged[ends].cumsum()])
    last = merged[ends] / max(least, 1)
    places = np.concatenate([[0.0], np.stack([EDGES[ends], EDGES[ends + 1]], axis=1).ravel()])
    masses = np.concatenate([[0.0], np.stack([below[1:] - last, below[1:]], axis=1).ravel()])
    whole: Array = np.interp(EDGES, places, masses)
    return whole
