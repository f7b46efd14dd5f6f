"""Sums over steps of a score with the minimum count of patients behind every step.

Steps with fewer are merged with the next. A merged step stands in its last place, with zeros in the places before:
every patient adds more than 0, so that the zeros tell where a step begins. It ends with the patient who makes its
number full: of `least` patients one is in its last place, and the others are taken to be spread evenly over it.
"""

import numpy as np
from numpy.typing import NDArray

from common.assessment.floors import full_cells, merged
from common.intervals.shapes import STEPS

Array = NDArray[np.float64]

EDGES: Array = np.linspace(0.0, 1.0, STEPS + 1)
"""Ends of the steps."""


def merged_steps(scores: Array, weights: Array, least: int) -> Array:
    """Sum weights [P] by steps of scores [P] between 0 and 1, over `least` patients each.

    Fewer than `least` patients give zeros [steps].
    """
    if len(scores) < max(least, 1):
        return np.zeros(STEPS)
    index = np.minimum((scores * STEPS).astype(np.intp), STEPS - 1)
    counts = np.bincount(index, minlength=STEPS)
    mass: Array = np.bincount(index, weights, minlength=STEPS).astype(np.float64)
    ends = full_cells(counts[:, None], max(least, 1))
    steps = merged(mass, ends)
    steps[ends[-1]] += mass[ends[-1] + 1 :].sum()  # too few patients are left for a step of their own
    return steps


def cumulative(steps: Array, least: int) -> Array:
    """Return the mass [steps + 1] below every edge.

    Args:
        steps: [steps] weights of a hospital, merged.
        least: patients behind a step.
    """
    ends = np.flatnonzero(steps)
    below = np.concatenate([[0.0], steps[ends].cumsum()])
    last = steps[ends] / max(least, 1)
    places = np.concatenate([[0.0], np.stack([EDGES[ends], EDGES[ends + 1]], axis=1).ravel()])
    masses = np.concatenate([[0.0], np.stack([below[1:] - last, below[1:]], axis=1).ravel()])
    whole: Array = np.interp(EDGES, places, masses)
    return whole
