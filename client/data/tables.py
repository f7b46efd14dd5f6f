"""Table of a hospital, read into finite numbers and category codes, with all problems.

A problem names the file, the hospital's own column and the remedy; never a cell, never a patient.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from client.intake.cells import above
from client.intake.taking import Taken, take_file, take_frame
from client.tables.cells import LEAVE_EMPTY, NAME_MISSING, emptied, no_numbers
from client.tables.checked import CellsError, Checked
from client.tables.header import Wanted
from client.tables.likely_unit import Ranges, likely_unit, share_inside
from client.tables.spelling import MISSING, as_text, loose, plain
from client.tables.vocabulary import UNKNOWN, UNKNOWN_NUMBERS
from common.agreement.modalities import Plausible
from common.counting import counted
from common.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Table indexed by patient, under the hospital's column names.

    Attributes:
        path: its file.
        frame: one row per patient; an empty row where a patient has none.
        renamed: the federation's column -> the hospital's, where they differ.
        keys: the federation's column -> its key in the frame, where rules of intake have made it.
        rows: number in the file of each patient's row; -1 where there is none.
        name: of the table in the federation file.
    """

    path: Path
    frame: pd.DataFrame
    renamed: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[int, ...] = ()
    name: str = ""

    def where(self, column: str) -> str:
        """File and column, for an error."""
        return f"{self.path}, column {self.renamed.get(column, column)}"

    def problem(self, column: str, what: str, remedy: str, wrong: Iterable[bool] = ()) -> InputError:
        """Make the error of a column of the federation; `wrong` marks the patients whose cells are."""
        rows = [row for row, is_wrong in zip(self.rows, wrong, strict=False) if is_wrong and row >= 0]
        return CellsError(self.where(column), what, remedy, rows)

    def key(self, column: str) -> str:
        """Key in the frame of a column of the federation."""
        return self.keys.get(column, self.renamed.get(column, column))

    def cells(self, column: str) -> "pd.Series[Any]":
        """Cells of a column of the federation."""
        return self.frame[self.key(column)]

    def of(self, patients: pd.Index) -> "Table":
        """Rows of these patients, in their order."""
        rows = dict(zip(self.frame.index, self.rows, strict=True)) if self.rows else {}
        numbers = tuple(rows.get(patient, -1) for patient in patients)
        return Table(self.path, self.frame.reindex(patients), self.renamed, self.keys, numbers, self.name)


def read_table(path: Path, wanted: Wanted) -> Checked[Table | None]:
    """Read the wanted columns of a table; None, and problems, if it is not usable."""
    return _table(path, take_file(path, wanted), wanted)


def table_of(path: Path, frame: pd.DataFrame, wanted: Wanted) -> Checked[Table | None]:
    """Take the wanted columns of a table in memory.

    Its index has the patients if no column has. `path` stands for it in errors.
    """
    return _table(path, take_frame(path, frame, wanted), wanted)


def _table(path: Path, taken: Taken, wanted: Wanted) -> Checked[Table | None]:
    if taken.frame is None:
        return Checked(None, taken.problems)
    return Checked(
        Table(path, taken.frame, wanted.renamed, taken.keys, taken.rows, wanted.table), taken.problems
    )


def numbers(table: Table, columns: Sequence[str]) -> Checked[Array]:
    """Read numeric columns as [P, columns] float64, NaN where missing.

    Cells that are not finite numbers are a problem.
    """
    problems = []
    frame = table.frame[[table.key(column) for column in columns]]
    numeric = np.array([is_numeric_dtype(dtype) for dtype in frame.dtypes], dtype=bool)
    result = np.full(frame.shape, np.nan)
    result[:, numeric] = frame.loc[:, numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    for index in _indices(~numeric):
        cells = emptied(frame.iloc[:, index])
        parsed = pd.to_numeric(cells, errors="coerce")
        if (wrong := parsed.isna() & cells.notna()).any():
            problems.append(table.problem(columns[index], *no_numbers(cells[wrong]), wrong))
        else:
            result[:, index] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(result)
    for index in _indices(infinite.any(axis=0)):
        problems.append(table.problem(columns[index], "has infinite cells", LEAVE_EMPTY, infinite[:, index]))
        result[:, index] = np.nan
    return Checked(result, tuple(problems))


def _indices(mask: NDArray[np.bool_]) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def range_problems(
    table: Table, columns: Sequence[str], plausible: Sequence[Plausible], cells: Array
) -> Iterator[InputError]:
    """Name every column with cells ([P, columns]) outside its plausible range."""
    low = np.array([-np.inf if part.low is None else part.low for part in plausible])
    high = np.array([np.inf if part.high is None else part.high for part in plausible])
    is_outside = (cells < low) | (cells > high)
    outside = is_outside.sum(axis=0)
    for index in _indices(outside > 0):
        unit = f" {plausible[index].unit}" if plausible[index].unit else ""
        span = f"{low[index]:g} to {high[index]:g}{unit}"
        what = f"{counted(int(outside[index]), 'cell is', 'cells are')} outside the plausible range {span}"
        remedy = f"check the unit, and {NAME_MISSING}"
        wrong = cells[is_outside[:, index], index]
        if markers := int(np.isin(wrong, list(UNKNOWN_NUMBERS)).sum()):
            what += f", {markers:,} of them a number that often stands for unknown"
        if (likely := likely_unit(cells[:, index], ranges_of(plausible[index]))) is not None:
            what += f", and they look as if they were in {likely}"
            remedy = _declare_unit(table, columns[index], likely)
        yield table.problem(columns[index], what, remedy, is_outside[:, index])


def unit_warnings(
    table: Table, columns: Sequence[str], plausible: Sequence[Plausible], cells: Array
) -> Iterator[InputError]:
    """Name every column with hardly a cell ([P, columns]) where most patients are.

    A column with cells outside its plausible range is left to `range_problems`, which names the likely unit as well.
    """
    for index, part in enumerate(plausible):
        values, ranges = cells[:, index], ranges_of(part)
        what, likely = _untypical(part, values), likely_unit(values, ranges)
        if likely is not None and share_inside(values, ranges) == 1:
            what = f"{what or 'hardly a cell is where most are'}, and they look as if they were in {likely}"
            yield table.problem(columns[index], what, _declare_unit(table, columns[index], likely))
        elif what is not None and likely is None:
            yield table.problem(columns[index], what, "check the unit")


def ranges_of(plausible: Plausible) -> Ranges:
    """Return unit and ranges of a column as the check of units takes them."""
    return Ranges(plausible.unit, plausible.low, plausible.high, plausible.typical)


def _declare_unit(table: Table, column: str, unit: str) -> str:
    where = f"[intake.{table.name}.columns.{column}]" if table.name else "[intake]"
    return f'check the unit, and write unit = "{unit}" under {where} in site.toml if they are'


_LEAST_CELLS, _HARDLY = 20, 0.05
"""Fewest cells by which a column is judged, and the largest share of them in the typical range in a wrong unit."""


def _untypical(plausible: Plausible, cells: Array) -> str | None:
    """Tell of a column of which hardly a cell lies where about two thirds of all patients do."""
    cells = cells[~np.isnan(cells)]
    if plausible.typical is None or len(cells) < _LEAST_CELLS:
        return None
    low, high = plausible.typical
    inside = int(((low <= cells) & (cells <= high)).sum())
    if inside > _HARDLY * len(cells):
        return None
    unit = f" {plausible.unit}" if plausible.unit else ""
    return f"{inside} of {counted(len(cells), 'cell')} are in the typical range {low:g} to {high:g}{unit}"


def codes(table: Table, column: str, levels: Sequence[str]) -> Checked[NDArray[np.int64]]:
    """Read a column of categories as [P] indices of levels, -1 where missing.

    Cells that are none of the levels are a problem.
    """
    cells = table.cells(column)
    index_of = {plain(level): index for index, level in enumerate(levels)}
    indices = np.array(
        [
            _level(cell, index_of) if is_filled else _MISSING
            for cell, is_filled in zip(cells, cells.notna(), strict=True)
        ],
        dtype=np.int64,
    )
    value = np.maximum(indices, _MISSING)
    if not (unknown := indices == _UNKNOWN).any():
        return Checked(value)
    spelled = {loose(level) for level in levels}
    others = [as_text(cell) for cell in cells[unknown]]
    alike = sum(loose(text) in spelled for text in others)
    parts = sum(above(text, index_of) is not None for text in others)
    words = sum(text.casefold() in UNKNOWN for text in others)
    what = (
        f"{counted(int(unknown.sum()), 'cell is', 'cells are')} none of the categories {_shortened(levels)}"
    )
    if alike:
        what += f", {alike:,} of them for capitals and punctuation alone"
    if parts:
        what += f", {parts:,} of them a subdivision of one"
    if words:
        what += f", {words:,} of them a word for unknown"
    remedies = [
        rule
        for count, rule in ((alike, 'spelling = "loose"'), (parts, "sublevels = true"), (words, "missing"))
        if count
    ]
    where = f"[intake.{table.name}.columns.{column}]" if table.name else "[intake]"
    declare = f"declare {' and '.join(remedies)}" if remedies else "recode them"
    remedy = f"{declare} under {where} in site.toml, or leave them empty"
    return Checked(value, (table.problem(column, what, remedy, unknown),))


_MISSING, _UNKNOWN = -1, -2


def _level(cell: object, index_of: Mapping[str, int]) -> int:
    """Index of the level that a cell names, or what stands for none."""
    text = plain(str(cell))
    default = _MISSING if text in MISSING else _UNKNOWN
    return index_of.get(text, index_of.get(as_text(cell), default))


def _shortened(levels: Sequence[str], most: int = 12) -> str:
    """Name the levels, or the first of many."""
    more = f" and {len(levels) - most:,} more" if len(levels) > most else ""
    return ", ".join(levels[:most]) + more
