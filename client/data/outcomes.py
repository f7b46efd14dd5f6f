"""Labels, held-out folds and subgroups of a hospital's table of outcomes."""

import numpy as np
import torch
from torch import Tensor

from client.data.checked import Checked
from client.data.tables import Array, Table, codes, numbers
from common.errors import InputError, InvalidContentError
from common.tasks.task import Task


def read_labels(table: Table, task: Task) -> Checked[Array]:
    """Read the labels [P, columns] of a task, NaN where unknown."""
    numeric = [column for column in task.columns if column not in task.classes_of]
    counted = numbers(table, numeric)
    cells, problems = dict(zip(numeric, counted.value.T, strict=True)), list(counted.problems)
    for column, classes in task.classes_of.items():
        indices = codes(table, column, classes)
        problems += indices.problems
        cells[column] = np.where(indices.value < 0, np.nan, indices.value)
    labels, faults = task.check_labels(np.stack([cells[column] for column in task.columns], axis=1))
    problems += [table.problem(column, what, remedy) for column, what, remedy in faults]
    return Checked(labels, tuple(problems))


def _missing(table: Table, column: str, key: str) -> tuple[InputError, ...]:
    """Problem of a column that the site file names and the table lacks; none otherwise."""
    if column in table.frame.columns:
        return ()
    where = f"{table.path}, column {column}"
    return (InvalidContentError(where, "is missing", f"correct {key} in the site file"),)


def folds(table: Table, column: str | None) -> Checked[Tensor]:
    """Read [P] long, the fold in which a patient is held out; -1 where none is given."""
    problems = () if column is None else _missing(table, column, "fold")
    if column is None or problems:
        return Checked(torch.full((len(table.frame),), -1), problems)
    as_named = Table(table.path, table.frame[[column]], {})
    numbered = numbers(as_named, [column])
    cells = np.nan_to_num(numbered.value[:, 0], nan=-1.0)
    problems = numbered.problems
    if (cells % 1 != 0).any():
        what = "has folds that are not whole numbers"
        problems = (*problems, table.problem(column, what, "number the folds"))
    return Checked(torch.from_numpy(cells).long(), problems)


def groups(table: Table, column: str | None, site: str) -> Checked[tuple[str, ...]]:
    """Read the subgroup of every patient; the site's name where there is none."""
    problems = () if column is None else _missing(table, column, "group")
    if column is None or problems:
        return Checked((site,) * len(table.frame), problems)
    cells = table.frame[column]
    return Checked(tuple(str(cell) for cell in cells.astype(object).where(cells.notna(), site)))
