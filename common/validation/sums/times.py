"""Horizons of a time to an event that a hospital tells, and the end of its other counts.

Counts of the same patients from two tables are subtracted as easily as two of one table: events until the end of the
curves less those by the last horizon are the late ones, who may be one. Whoever counts events of the patients that a
validation is about therefore counts them up to `last_told`.
"""

from collections.abc import Sequence

import numpy as np

from common.assessment.floors import are_few
from common.tasks.task import Task
from common.validation.observed import Array, Mask, Outcomes, observed_risk
from common.validation.sums.merging import merged_times
from common.validation.sums.shapes import horizons_asked, main_horizon


def time_counts(time: Array, event: Mask, ends: Sequence[float]) -> Array:
    """Count events and censored patients [K, 2] in the cells of time that end at `ends`."""
    cell = np.searchsorted(np.asarray(ends), time, side="left")
    counts = [np.bincount(cell[chosen], minlength=len(ends) + 1)[: len(ends)] for chosen in (event, ~event)]
    return np.stack(counts, axis=1).astype(np.float64)


def kept_horizons(task: Task, end: float, time: Array, event: Mask, least: int) -> list[int]:
    """Return the indices of horizons by which, and between which, there are enough patients.

    Args:
        task: with horizons.
        end: of the predicted curves.
        time, event: [P] as in `Outcomes`.
        least: fewest patients.
    """
    horizons = [horizon for horizon in horizons_asked(task) if horizon <= end]
    counts = time_counts(time, event, horizons)
    main = [index for index in [main_horizon(task)] if index < len(horizons)]
    kept = merged_times(counts, len(time), least, main, range(len(horizons)))
    return [
        index for index in kept if np.isfinite(observed_risk(Outcomes(time, event, horizons[index])).risk)
    ]


def last_told(task: Task, end: float, time: Array, event: Mask, least: int) -> float:
    """Return the time up to which events may be counted beside the horizons.

    It is the end of the curves, unless fewer than `least` patients have the event between the last horizon and it, or
    fewer stay without: then it is that horizon.
    """
    kept = kept_horizons(task, end, time, event, least)
    if not kept:
        return end
    last = horizons_asked(task)[kept[-1]]
    late, staying = (int(chosen.sum()) for chosen in late_outcomes(last, end, time, event))
    return last if are_few(late, least) or are_few(staying, least) else end


def late_outcomes(last: float, end: float, time: Array, event: Mask) -> tuple[Mask, Mask]:
    """Return who [P] has the event between `last` and `end`, and who is seen later without one."""
    late: Mask = event & (time > last) & (time <= end)
    return late, (time > last) & ~late
