"""Labels, held-out folds and subgroups of a hospital's table of outcomes."""

import numpy as np
import torch
from torch import Tensor

from client.data.tables import Array, Table, codes, numbers
from client.tables.cells import emptied
from client.tables.checked import CellsError, Checked
from client.tables.spelling import as_text
from client.tables.vocabulary import event_of
from common.errors import InputError, InvalidContentError
from common.tasks.labels import NOT_BINARY
from common.tasks.task import Task


def read_labels(table: Table, task: Task) -> Checked[Array]:
    """Read the labels [P, columns] of a task, NaN where unknown."""
    numeric = [column for column in task.columns if column not in task.classes_of]
    cells, problems, unread = {}, list[InputError](), set()
    for column in numeric:
        read = numbers(table, [column])
        cells[column] = read.value[:, 0]
        if read.problems:
            unread.add(column)
            binary = column in task.binary_columns
            problems += [_not_binary(table, column, read)] if binary else read.problems
    for column, classes in task.classes_of.items():
        indices = codes(table, column, classes)
        problems += indices.problems
        cells[column] = np.where(indices.value < 0, np.nan, indices.value)
    labels, faults = task.check_labels(np.stack([cells[column] for column in task.columns], axis=1))
    warnings: list[InputError] = []
    for column, what, remedy, is_warning, patients in faults:
        if column not in unread:
            wrong = np.isin(np.arange(len(labels)), patients)
            (warnings if is_warning else problems).append(table.problem(column, what, remedy, wrong))
    return Checked(labels, tuple(problems), tuple(warnings))


def _not_binary(table: Table, column: str, read: Checked[Array]) -> InputError:
    """Make the error of an event's column that has words, with the rows of these."""
    what, remedy = NOT_BINARY
    cells = emptied(table.cells(column)).dropna()
    words = sum(event_of(str(cell)) is not None and not str(cell).isdigit() for cell in cells)
    if words:
        what += f", {words:,} of them a word for an event or for none"
    rows = [row for problem in read.problems if isinstance(problem, CellsError) for row in problem.rows]
    return CellsError(table.where(column), what, remedy, rows)


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
    return Checked(tuple(as_text(cell) for cell in cells.astype(object).where(cells.notna(), site)))
