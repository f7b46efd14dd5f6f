"""Numbers whose explanations hospitals sum up, and limits of the sums."""

from common.agreement.federation import Federation
from common.tasks.task import OutcomeForm, Task

LIMIT = 2.0
"""Largest size of a patient's contribution to a sum: a factor of 7 in hazard or odds."""

LONGEST = 2.0
"""Largest Euclidean norm of a patient's contributions, with their direction and by size, under privacy."""

MOST_PATHWAYS = 2000
"""Pathways of all modalities that have sums; the file of pathways is not read where shapes are checked."""


def outcomes_of(federation: Federation) -> list[tuple[Task, int, str]]:
    """List the explained numbers: task, index of the output, and its name."""
    listed: list[tuple[Task, int, str]] = []
    for task in federation.tasks:
        match task.form:
            case OutcomeForm.TIME_TO_EVENT | OutcomeForm.NUMBER:
                listed.append((task, 0, ""))
            case OutcomeForm.CLASSES | OutcomeForm.LABELS:
                names = task.outcome_names
                is_one_of_two = task.form is OutcomeForm.CLASSES and len(names) == 2
                listed += [(task, index, name) for index, name in enumerate(names)][is_one_of_two:]
    return listed


def interval_of(task: Task) -> int:
    """Return the hazard interval by whose end the risk is explained, from 1."""
    return task.outputs // 2 + 1
