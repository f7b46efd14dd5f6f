"""Names, shapes and limits of the sums for intervals.

The gate reads them, which spares imports.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from common.assessment.part import Sum
from common.tasks.task import OutcomeForm

if TYPE_CHECKING:
    from common.tasks.task import Task

STEPS = 150
"""Steps of a score between 0 and 1."""

PARTS = 4
"""Parts of a hazard interval in which censoring is counted."""

LEAST_UNCENSORED = 0.05
"""Least probability of being uncensored by which an event is divided."""

MOST_HAZARD = -log(LEAST_UNCENSORED)
"""Most hazard of censoring in a part: who is seen through such a part has the least probability that counts."""


def outcomes_of(task: Task) -> tuple[str, ...]:
    """Return the outcomes that have intervals of their own; none for a task of another form."""
    match task.form:
        case OutcomeForm.TIME_TO_EVENT:
            return ("event",)
        case OutcomeForm.CLASSES:
            return ("class",)
        case OutcomeForm.LABELS:
            return task.outcome_names
        case OutcomeForm.NUMBER:
            return ("number",)
    return ()


def censoring_sums(task: Task) -> dict[str, Sum]:
    """Return the sums of the question about censoring, by parts of the follow-up.

    Time is in parts of the follow-up that a patient was seen through.
    """
    if task.form is not OutcomeForm.TIME_TO_EVENT:
        return {}
    shape = (PARTS * task.prepared_size,)
    return {"censored": Sum(shape), "seen": Sum(shape, 0.0, float(shape[0]))}


def step_sums(task: Task) -> dict[str, Sum]:
    """Return the sums of the second question: weights by steps of the score."""
    outcomes = len(outcomes_of(task))
    if not outcomes:
        return {}
    heaviest = 1 / LEAST_UNCENSORED if task.form is OutcomeForm.TIME_TO_EVENT else 1.0
    counts = Sum((outcomes,))
    return {
        "patients": counts,
        "least": counts,
        "events": counts,
        "steps": Sum((outcomes, STEPS), 0.0, heaviest),
    }
