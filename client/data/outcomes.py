"""Labels, held-out folds and subgroups of a hospital's table of outcomes."""

import numpy as np
import torch
from torch import Tensor

from client.data.tables import Array, Table, codes, numbers
from common.errors import InputError
from common.tasks.task import Task


def read_labels(table: Table, task: Task, problems: list[InputError]) -> Array:
    """Read the labels [P, columns] of one task, NaN where unknown."""
    numeric = [column for column in task.columns if column not in task.classes_of]
    cells = dict(zip(numeric, numbers(table, numeric, problems).T, strict=True))
    for column, classes in task.classes_of.items():
        indices = codes(table, column, classes, problems)
        cells[column] = np.where(indices < 0, np.nan, indices)
    labels, faults = task.check_labels(np.stack([cells[column] for column in task.columns], axis=1))
    problems += [InputError(table.where(column), what, remedy) for column, what, remedy in faults]
    return labels


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
