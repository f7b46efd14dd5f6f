"""A hospital's table of outcomes: labels of each task, held-out folds and subgroups."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.data.tables import Array, Table, codes, numbers
from common.agreement.tasks import ResponseTask, SurvivalTask, Task
from common.errors import InputError


def read_labels(table: Table, task: Task, problems: list[InputError]) -> Array:
    """[P, columns] labels of one task, NaN where unknown."""
    if isinstance(task, ResponseTask):
        places = codes(table, task.label, task.classes, problems)
        return np.where(places < 0, np.nan, places)[:, None]
    labels = numbers(table, task.columns, problems)
    binary = task.columns
    if isinstance(task, SurvivalTask):
        _check_survival(table, task, labels, problems)
        binary = (task.event,)
    for column in binary:
        cells = labels[:, task.columns.index(column)]
        if not np.isin(cells[~np.isnan(cells)], (0.0, 1.0)).all():
            problems.append(InputError(table.where(column), "has cells other than 0 and 1", "recode them"))
    return labels


def _check_survival(table: Table, task: SurvivalTask, labels: Array, problems: list[InputError]) -> None:
    """Name what is wrong with times and events ([P, 2]); a patient with one of them only becomes unknown."""
    time, event = labels.T

    def check(wrong: NDArray[np.bool_], column: str, what: str, remedy: str) -> None:
        if wrong.any():
            problems.append(InputError(table.where(column), what, remedy))

    above = f"has times above the plausible {task.longest:g} {task.unit}"
    check(time < 0, task.time, "has negative times", "correct or drop them")
    check(time > task.longest, task.time, above, f"give times in {task.unit}")
    check(np.isnan(time) & (event == 1), task.time, "is empty for patients with an event", "complete it")
    without = np.isnan(event) & ~np.isnan(time)
    check(without, task.event, "is empty for patients with a time", "give 0 for censored")
    labels[np.isnan(time) | np.isnan(event)] = np.nan


def _optional(table: Table, column: str | None, key: str, problems: list[InputError]) -> bool:
    """Whether the hospital names such a column of outcomes and has it."""
    if column is not None and column not in table.frame.columns:
        where = f"{table.path}, column {column}"
        problems.append(InputError(where, "is missing", f"correct {key} in the site file"))
    return column is not None and column in table.frame.columns


def folds(table: Table, column: str | None, problems: list[InputError]) -> Tensor:
    """[P] long, the fold in which a patient is held out; -1 where none is given."""
    if column is None or not _optional(table, column, "fold", problems):
        return torch.full((len(table.frame),), -1)
    own = Table(table.path, table.frame[[column]], {})
    cells = np.nan_to_num(numbers(own, [column], problems)[:, 0], nan=-1.0)
    if (cells % 1 != 0).any():
        problems.append(
            InputError(table.where(column), "has folds that are not whole numbers", "number the folds")
        )
    return torch.from_numpy(cells).long()


def groups(table: Table, column: str | None, site: str, problems: list[InputError]) -> tuple[str, ...]:
    """The subgroup of each patient; the site's name where there is none."""
    if column is None or not _optional(table, column, "group", problems):
        return (site,) * len(table.frame)
    cells = table.frame[column]
    return tuple(str(cell) for cell in cells.astype(object).where(cells.notna(), site))
