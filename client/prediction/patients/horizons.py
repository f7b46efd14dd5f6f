"""Horizons by which a person asks the risk, checked against what the model has seen."""

from collections.abc import Sequence

from common.counting import written
from common.errors import OptionError
from common.tasks.task import OutcomeForm, Task
from common.validation.horizons import rounded_down, usual_horizons


def require_times(tasks: Sequence[Task], asked: Sequence[float]) -> None:
    """Refuse horizons where no task has a time.

    Raises:
        OptionError: naming the first horizon.
    """
    if asked and all(task.form is not OutcomeForm.TIME_TO_EVENT for task in tasks):
        what = "is a time, and the model predicts no time to an event"
        raise OptionError(f"horizon {written(asked[0])}", what, "leave it out")


def horizons_of(task: Task, end: float | None, asked: Sequence[float]) -> tuple[float, ...]:
    """Return the horizons of a task; none where it has no time."""
    if end is None:
        return ()
    for horizon in asked:
        if not 0 < horizon <= end:
            last = f"{written(rounded_down(end))} {task.outcome_unit}"
            what = f"is not within the follow-up of {task.name}, which ends at {last}"
            raise OptionError(f"horizon {written(horizon)}", what, "ask for an earlier one, more than 0")
    if asked:
        return tuple(sorted(set(asked)))
    return usual_horizons(task.outcome_unit, end)
