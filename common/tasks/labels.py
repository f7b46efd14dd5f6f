"""Checks of a task's label columns as read from a hospital's table."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LabelProblem(NamedTuple):
    """Fault in a label column of the outcomes table, with its remedy.

    The column is named as the federation file names it.
    """

    column: str
    what: str
    remedy: str
    is_warning: bool = False
    """Whether it may be right all the same, and stops nobody."""
    patients: tuple[int, ...] = ()
    """Indices of the patients with such a cell, for the hospital's own terminal; empty for the whole column."""


def marked(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the indices of the patients ([P]) that are marked."""
    return tuple(np.flatnonzero(wrong).tolist())


BINARY = (
    "recode it, with 1 for an event and 0 for none (censored), in the file or under [intake] in site.toml"
)
"""Remedy for what is neither 0 nor 1."""

NOT_BINARY = "has cells other than 0 and 1", BINARY
"""Problem of a column with such cells, and the remedy."""


def binary_problems(column: str, cells: NDArray[np.float64]) -> list[LabelProblem]:
    """Return a problem if a cell ([P], NaN where unknown) is neither 0 nor 1."""
    wrong = ~np.isin(cells, (0.0, 1.0)) & ~np.isnan(cells)
    if set(np.unique(cells[~np.isnan(cells)]).tolist()) == {1.0, 2.0}:
        what = "has 1 and 2 in place of 0 and 1"
        remedy = "look up which is the event, and recode them in the file or under [intake] in site.toml"
        return [LabelProblem(column, what, remedy, patients=marked(wrong))]
    return [LabelProblem(column, *NOT_BINARY, patients=marked(wrong))] if wrong.any() else []


DAYS = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}
"""Days of each unit of time."""

_LEAST_EVENTS = 10
"""Fewest events by which a unit is judged."""


def unit_warnings(
    column: str,
    times: NDArray[np.float64],
    unit: str,
    typical: tuple[float, float] | None,
    longest: float,
    everyone: NDArray[np.float64] | None = None,
) -> list[LabelProblem]:
    """Return a warning if times of events [E] are as usual, but in another unit.

    About two thirds of the events lie in the typical range, so that its middle and half width are the mean and the
    standard deviation of their logarithms. The warning is for a median that lies far from the mean, and in another unit
    within a standard deviation of it. It is also for a cohort in which hardly a patient is followed up to where most
    events lie.

    Args:
        column: of the times.
        times: of the patients with an event.
        unit: the times' unit by the federation file.
        typical: range of the typical times; None is the middle of what the longest plausible follow-up leaves.
        longest: the longest plausible follow-up.
        everyone: times of all patients [P].
    """
    likely = likely_time_unit(times, unit, typical, longest, everyone)
    if likely is None:
        return []
    low, high = typical or typical_times(longest)
    usual = f"{low:.4g} to {high:.4g} {unit}"
    what = f"has times of events far from the typical {usual}, and near them if they are in {likely}"
    remedy = f"give times in {unit}, or declare their unit under [intake] in site.toml"
    return [LabelProblem(column, what, remedy, is_warning=True)]


def likely_time_unit(
    times: NDArray[np.float64],
    unit: str,
    typical: tuple[float, float] | None,
    longest: float,
    everyone: NDArray[np.float64] | None = None,
) -> str | None:
    """Return the unit that times of events [E] seem to be in; None for the one asked for.

    Arguments are those of `unit_warnings`.
    """
    times = times[times >= 0]
    if len(times) < _LEAST_EVENTS:
        return None
    low, high = np.log(typical or typical_times(longest))
    distances = {
        other: abs(np.log(np.median(times) * days / DAYS[unit] + 1e-9) - (low + high) / 2)
        / ((high - low) / 2)
        for other, days in DAYS.items()
    }
    likely = min(distances, key=distances.__getitem__)
    is_far = distances[unit] >= (_FAR if typical else _FARTHER)
    is_unusual = is_far or _is_short(everyone, float(np.exp(low)))
    return likely if is_unusual and likely != unit and distances[likely] <= 1 else None


def _is_short(everyone: NDArray[np.float64] | None, low: float) -> bool:
    """Whether hardly a patient is followed up to the first typical time of an event."""
    if everyone is None:
        return False
    times = everyone[everyone >= 0]
    return len(times) >= 2 * _LEAST_EVENTS and bool(np.mean(times >= low) <= _HARDLY)


_HARDLY = 0.05
"""Largest share of patients with such a follow-up in a cohort that is taken to be in another unit."""

_FAR, _FARTHER = 1.2, 1.75
"""Standard deviations from the mean at which a median is far, with a declared typical range and without."""


def typical_times(longest: float) -> tuple[float, float]:
    """Return where events are taken to lie if the longest plausible follow-up alone is known.

    The range from exp(-3.5) to exp(-1.5) of it (of 50 years: from 18 months to 11 years): the logarithm then has
    standard deviation 1, and the longest follow-up lies 2.5 above its mean.
    """
    return longest * math.exp(-3.5), longest * math.exp(-1.5)
