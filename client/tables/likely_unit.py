"""Unit that a column of numbers seems to have, by the ranges of the federation file.

A single hospital can know this much: numbers that are implausible as they are, or unusual for nearly all patients, and
plausible and usual in another unit of the same quantity.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.units.named import conversion, siblings

_LEAST_CELLS = 20
"""Fewest cells by which a column is judged."""
_HARDLY = 0.05
"""Largest share of the cells that are usual in a wrong unit."""
_MOST = 0.6
"""Smallest share of the cells that are usual in the right one."""


class Ranges(NamedTuple):
    """Unit that a federation file asks for, with ends of what is plausible and usual."""

    unit: str
    low: float | None = None
    high: float | None = None
    typical: tuple[float, float] | None = None


def likely_unit(cells: NDArray[np.float64], plausible: Ranges) -> str | None:
    """Return the unit of cells ([P], NaN where missing) if it seems not to be the asked one."""
    cells = cells[np.isfinite(cells)]
    if len(cells) < _LEAST_CELLS or not plausible.unit:
        return None
    typical = plausible.typical or _derived(plausible)
    best, most = None, 0.0
    for unit in siblings(plausible.unit):
        converted = conversion(unit, plausible.unit)
        assert converted is not None
        others = cells * converted[0] + converted[1]
        if _inside(others, (plausible.low, plausible.high)) < 1 - _HARDLY:
            continue
        gain = _gain(cells, others, plausible, typical)
        if gain > most:
            best, most = unit, gain
    return best


def share_inside(cells: NDArray[np.float64], ranges: Ranges) -> float:
    """Return the share of filled cells ([P]) within the plausible range; 1 for none."""
    cells = cells[~np.isnan(cells)]
    return _inside(cells, (ranges.low, ranges.high)) if len(cells) else 1.0


def _gain(
    cells: NDArray[np.float64],
    others: NDArray[np.float64],
    plausible: Ranges,
    typical: tuple[float, float] | None,
) -> float:
    """Return the share of cells that another unit alone makes usual; 0 for none."""
    outside = 1 - _inside(cells, (plausible.low, plausible.high))
    usual = 1.0 if typical is None else _inside(others, typical)
    if outside > 0.5:
        return max(usual, 0.01)
    if typical is None:
        return 0.0
    # of a range that is derived, the end is too rough a limit: what lies beyond it counts as usual as well
    present = _inside(cells, typical if plausible.typical else (typical[0], math.inf))
    return usual if present <= _HARDLY and usual >= (_MOST / 2 if plausible.typical else _MOST) else 0.0


def _inside(cells: NDArray[np.float64], ends: tuple[float | None, float | None]) -> float:
    low, high = (-math.inf if ends[0] is None else ends[0]), (math.inf if ends[1] is None else ends[1])
    return float(np.mean((cells >= low) & (cells <= high)))


def _derived(plausible: Ranges) -> tuple[float, float] | None:
    """Return where most cells of a plausible range from 0 are taken to lie.

    The range from exp(-3.5) to exp(-1.5) of its end, as `common.tasks.labels.typical_times` takes it for times.
    """
    low, high = plausible.low, plausible.high
    if low is None or high is None or not 0 <= low <= high / 20:
        return None
    return high * math.exp(-3.5), high * math.exp(-1.5)
