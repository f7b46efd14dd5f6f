"""Names, shapes and limits of a task's sums, from the federation file alone."""

from collections.abc import Sequence

from common.agreement.federation import Federation
from common.assessment.part import Sum
from common.patients.divisions import fixed_groups
from common.tasks.task import OutcomeForm, Task
from common.validation.horizons import PER_YEAR, usual_horizons

RISKS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Edges of the cells of predicted risk, which are the thresholds of net benefit too."""

_YEARS = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10)
_TYPICAL_YEARS = 3

MOST_HAZARD = 10.0
"""Most cumulative hazard of a patient: that of `common.validation.ratio.LEAST_SURVIVAL`, rounded up."""

MOST_WEIGHT = 20.0
"""Most inverse censoring weight: that of `common.validation.observed.LEAST_UNCENSORED`."""

MOST_PAIRS = 5e5
"""Most pairs of a patient with others, half of them counted: a hospital has fewer than a million patients."""

BY_HORIZON = {
    "events": 1.0,
    "left": 1.0,
    "expected": 1.0,
    "followed": MOST_HAZARD,
    "risk": 1.0,
    "spread": MOST_WEIGHT,
    "squared": MOST_WEIGHT,
    "ranked": 1.0,
}
"""Sum by horizon -> most that a patient adds.

They are events by the horizon, patients censored before, predicted risk, cumulative hazard while followed, the risk by
Kaplan-Meier times the patients, its variance times their square, weighted squared errors, and the events times the
area under the ROC curve by the horizon, which is 0 for a class or adverse event: its concordance is that area.
"""


def is_judged(task: Task) -> bool:
    """Whether a task has an outcome with a probability."""
    return task.form in (OutcomeForm.TIME_TO_EVENT, OutcomeForm.CLASSES, OutcomeForm.LABELS)


def outcomes_of(task: Task) -> tuple[str, ...]:
    """Name the outcomes of a task; one without a name for a time to an event."""
    names = task.outcome_names
    if task.form is OutcomeForm.TIME_TO_EVENT:
        return ("",)
    return (names[1],) if task.form is OutcomeForm.CLASSES and len(names) == 2 else names


def horizons_asked(task: Task) -> tuple[float, ...]:
    """Return the horizons of a time to an event; none for another outcome."""
    return usual_horizons(task.outcome_unit, _longest(task)) if _has_time(task) else ()


def main_horizon(task: Task) -> int:
    """Return the index of the horizon of cells and groups: near the middle of typical times."""
    horizons = horizons_asked(task)
    if not horizons:
        return 0
    typical = getattr(task, "typical", None)
    middle = _TYPICAL_YEARS * PER_YEAR[task.outcome_unit]
    if typical is not None:
        middle = (typical[0] * typical[1]) ** 0.5
    return min(range(len(horizons)), key=lambda index: abs(horizons[index] / middle - 1))


def times_of(task: Task) -> tuple[float, ...]:
    """Return the ends of the time cells of a survival curve, horizons among them."""
    longest = _longest(task)
    times = [year * PER_YEAR[task.outcome_unit] for year in _YEARS]
    within = {time for time in times if time <= longest and not _near(time, horizons_asked(task))}
    return tuple(sorted(within | set(horizons_asked(task))))


def _near(time: float, horizons: Sequence[float]) -> bool:
    return any(abs(time / horizon - 1) < 0.05 for horizon in horizons)


def _longest(task: Task) -> float:
    longest: float = getattr(task, "longest")  # noqa: B009 - of the kind with a time alone
    return longest


def _has_time(task: Task) -> bool:
    return task.form is OutcomeForm.TIME_TO_EVENT


def group_names(federation: Federation) -> list[tuple[str, str]]:
    """List (division, group) of the groups that the federation file alone says."""
    return [(division, name) for division, names in fixed_groups(federation).items() for name in names]


def sums_of(task: Task, federation: Federation) -> dict[str, Sum]:
    """Return the sums of a task: name -> shape and limits."""
    outcomes, horizons = len(outcomes_of(task)), max(len(horizons_asked(task)), 1)
    groups = len(group_names(federation))
    sums = {"patients": Sum((outcomes,))}
    sums |= {name: Sum((outcomes, horizons), 0.0, high) for name, high in BY_HORIZON.items()}
    sums |= {
        "pairs": Sum((outcomes, 2), 0.0, MOST_PAIRS),
        "cells": Sum((outcomes, len(RISKS) + 1, 4)),
        "groups": Sum((outcomes, groups, 4)),
        "group_pairs": Sum((outcomes, groups, 2), 0.0, MOST_PAIRS),
    }
    if _has_time(task):
        sums |= {
            "thirds": Sum((3, len(times_of(task)), 2)),
            "third_patients": Sum((3,)),
            "third_edges": Sum((2,)),
        }
    return sums
