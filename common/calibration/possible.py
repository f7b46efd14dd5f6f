"""Limits of what fitting can give, for tables of calibration that somebody signed.

Hazards and odds: levels lie on the grid of `common.calibration.levels`, to which a stranger's adds half the largest
variance of hospitals' levels. Numbers: a mean error is at most the plausible range, and a spread of such means is at
most its double.
"""

import math
from collections.abc import Iterator, Sequence

from common.assessment.part import ROUNDING
from common.calibration.levels import FARTHEST_LEVEL, LARGEST_ERROR, WIDEST
from common.calibration.shapes import MOST_EXPECTED, SLOPES
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.tasks.task import OutcomeForm, Task

MOST_PATIENTS = 10**9
"""Patients of all hospitals together, at the most."""

_ERRORS = 10.0
"""Most errors of a number's level in widths of its plausible range."""


def impossible_outcomes(tasks: Sequence[Task], table: CalibrationTable) -> Iterator[str]:
    """Yield the outcomes whose calibration no fit gives.

    Args:
        tasks: of the agreement.
        table: about outcomes of these tasks.
    """
    for task in tasks:
        for name, outcome in table.tasks.get(task.name, {}).items():
            if not _is_possible(task, outcome):
                yield name


def _is_possible(task: Task, outcome: OutcomeCalibration) -> bool:
    is_timed, is_number = (task.form is form for form in (OutcomeForm.TIME_TO_EVENT, OutcomeForm.NUMBER))
    width = 1.0
    if is_number:
        low, high = task.moment_limits()
        width = float(high[0] - low[0])
    farthest, error, widest = (
        (width, _ERRORS * width, _ERRORS * width) if is_number else (FARTHEST_LEVEL, LARGEST_ERROR, WIDEST)
    )
    rows = [*outcome.hospitals.values(), *([] if outcome.pooled is None else [outcome.pooled])]
    slope_fits = SLOPES[0] <= outcome.slope <= SLOPES[-1] if is_timed else outcome.slope == 1.0
    most = MOST_EXPECTED * math.exp(FARTHEST_LEVEL)  # expected events of one patient
    return (
        slope_fits
        and max(outcome.events, outcome.needed) <= MOST_PATIENTS
        and outcome.deviation <= widest * (1 + ROUNDING)
        and all(
            abs(row.level) <= farthest * (1 + ROUNDING)
            and row.error <= error * (1 + ROUNDING)
            and row.patients <= MOST_PATIENTS
            and _figures_fit(
                row, width if is_number else row.patients, width if is_number else most * row.patients
            )
            for row in rows
        )
    )


def _figures_fit(row: LevelRow, observed: float, expected: float) -> bool:
    """Whether what was observed and expected is no larger than patients can make it."""
    room = 1 + ROUNDING
    return abs(row.observed or 0.0) <= observed * room and all(
        abs(figure) <= expected * room for figure in (row.before, row.after)
    )
