"""Names, shapes and limits of a task's sums for calibration, and the grids behind them.

The gate reads them, which spares imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.assessment.part import Sum
from common.release.calibration_table import EVENT, NUMBER
from common.tasks.task import OutcomeForm

if TYPE_CHECKING:
    from common.tasks.task import Task

SLOPES = (0.4, 0.6, 0.8, 1.0, 1.2)
"""Slopes of the log cumulative hazard that are tried."""

SAME_SLOPE = SLOPES.index(1.0)

NODES = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
"""Levels of the log-odds at which expected outcomes are summed."""

SAME_LEVEL = NODES.index(0.0)

MOST_EXPECTED = 5.0
"""Most expected events that one patient adds."""

MOST_EVIDENCE = 8.0
"""Most that one event adds to the evidence for a slope, either way."""


def outcomes_of(task: Task) -> tuple[str, ...]:
    """Return the outcomes that are calibrated; none for a task of another form."""
    match task.form:
        case OutcomeForm.TIME_TO_EVENT:
            return (EVENT,)
        case OutcomeForm.CLASSES if len(task.outcome_names) == 2:
            return task.outcome_names[1:]
        case OutcomeForm.CLASSES | OutcomeForm.LABELS:
            return task.outcome_names
        case OutcomeForm.NUMBER:
            return (NUMBER,)
    return ()


def sums_of(task: Task) -> dict[str, Sum]:
    """Return the sums of a task by name; none for a task of another form.

    All are over patients whose outcome is known; `least` is the hospital's minimum count and no sum.
    """
    outcomes = len(outcomes_of(task))
    match task.form:
        case OutcomeForm.TIME_TO_EVENT:
            slopes = (len(SLOPES),)
            return {
                "patients": Sum((1,)),
                "least": Sum((1,)),
                "events": Sum((1,)),
                "expected": Sum(slopes, 0.0, MOST_EXPECTED),
                "evidence": Sum(slopes, -MOST_EVIDENCE, MOST_EVIDENCE),
            }
        case OutcomeForm.CLASSES | OutcomeForm.LABELS:
            counts = Sum((outcomes,))
            expected = Sum((outcomes, len(NODES)))
            return {"patients": counts, "least": counts, "events": counts, "expected": expected}
        case OutcomeForm.NUMBER:
            low, high = task.moment_limits()
            width = float(high[0] - low[0])
            return {
                "patients": Sum((1,)),
                "error": Sum((1,), -width, width),
                "square": Sum((1,), 0.0, width**2),
            }
    return {}
