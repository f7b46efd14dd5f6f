"""Table of a hospital, read into finite numbers and category codes, with all problems.

A problem names the file, the hospital's own column and the remedy; never a cell, never a patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from client.data.checked import Checked
from common.agreement.modalities import Plausible
from common.errors import InputError, InvalidContentError, MissingFileError, UnreadableFileError

Array = NDArray[np.float64]


_LEAVE_EMPTY = "leave unknown cells empty"


MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "<NA>", "null", "NULL", "None"})
"""Texts by which exports write an empty cell of a CSV, unless the federation file has a category of that name."""


@dataclass(frozen=True)
class Table:
    """Table indexed by patient, under the hospital's column names.

    Attributes:
        path: its file.
        frame: one row per patient; an empty row where a patient has none.
        renamed: the federation's column -> the hospital's, where they differ.
    """

    path: Path
    frame: pd.DataFrame
    renamed: Mapping[str, str]

    def where(self, column: str) -> str:
        """File and column, for an error."""
        return f"{self.path}, column {self.renamed.get(column, column)}"

    def problem(self, column: str, what: str, remedy: str) -> InputError:
        """Make the error of a column of the federation."""
        return InvalidContentError(self.where(column), what, remedy)

    def cells(self, column: str) -> "pd.Series[Any]":
        """Cells of a column of the federation."""
        return self.frame[self.renamed.get(column, column)]

    def of(self, patients: pd.Index) -> "Table":
        """Rows of these patients, in their order."""
        return Table(self.path, self.frame.reindex(patients), self.renamed)


def read_table(
    path: Path,
    identifier: str,
    renamed: Mapping[str, str],
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    remedy: str,
) -> Checked[Table | None]:
    """Read a table; None, and problems, if it is not usable.

    Args:
        path: CSV or Parquet, by its ending.
        identifier: the hospital's column of patient identifiers.
        renamed: the federation's column -> the hospital's, where they differ.
        columns: columns of the federation the table must have.
        categories: which of them are categorical, and their levels.
        remedy: what to do about a missing column.
    """
    try:
        raw = _read_file(path, identifier, renamed, categories)
    except InputError as error:
        return Checked(None, (error,))
    if raw.index.name == identifier:
        raw = raw.reset_index()
    needed = [identifier, *(renamed.get(name, name) for name in columns)]
    missing = [column for column in needed if column not in raw.columns]
    problems = [InvalidContentError(f"{path}, column {column}", "is missing", remedy) for column in missing]
    if not problems and raw.empty:
        problems = [InvalidContentError(str(path), "the table is empty", "export it again")]
    if problems:
        return Checked(None, tuple(problems))
    where = f"{path}, column {identifier}"
    if raw[identifier].isna().any():
        problems.append(InvalidContentError(where, "has rows without a patient", "complete or drop them"))
    patients = raw[identifier].map(as_text)
    if (repeated := int(patients.duplicated().sum())) > 0:
        what = f"{repeated} rows repeat a patient"
        problems.append(InvalidContentError(where, what, "keep one row per patient"))
    table = None if problems else Table(path, raw.set_index(pd.Index(patients)), renamed)
    return Checked(table, tuple(problems))


def _read_file(
    path: Path, identifier: str, renamed: Mapping[str, str], categories: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    levels = {level for names in categories.values() for level in names}
    text = dict.fromkeys([identifier, *(renamed.get(name, name) for name in categories)], "str")
    parquet = path.suffix == ".parquet"
    try:
        if parquet:
            return pd.read_parquet(path)
        return pd.read_csv(
            path, dtype=text, na_values=sorted(MISSING - levels), keep_default_na=False, low_memory=False
        )
    except FileNotFoundError:
        remedy = "correct [tables] in the site file"
        raise MissingFileError(str(path), "there is no such file", remedy) from None
    except pd.errors.EmptyDataError:
        raise InvalidContentError(str(path), "the table is empty", "export it again") from None
    except (
        Exception
    ) as error:  # damaged metadata makes the Parquet reader raise nearly anything, the damage as its text
        what = f"cannot be read as {'Parquet' if parquet else 'CSV'} ({type(error).__name__})"
        raise UnreadableFileError(str(path), what, "export it again") from None


def numbers(table: Table, columns: Sequence[str]) -> Checked[Array]:
    """Read numeric columns as [P, columns] float64, NaN where missing.

    Cells that are not finite numbers are a problem.
    """
    problems = []
    frame = table.frame[[table.renamed.get(column, column) for column in columns]]
    numeric = np.array([is_numeric_dtype(dtype) for dtype in frame.dtypes], dtype=bool)
    result = np.full(frame.shape, np.nan)
    result[:, numeric] = frame.loc[:, numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    for index in _indices(~numeric):
        cells = frame.iloc[:, index].astype(object)
        parsed = pd.to_numeric(cells.map(_number), errors="coerce")
        if (parsed.isna() & cells.notna()).any():
            problems.append(table.problem(columns[index], "has cells that are not numbers", _LEAVE_EMPTY))
        else:
            result[:, index] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    for index in _indices(np.isinf(result).any(axis=0)):
        problems.append(table.problem(columns[index], "has infinite cells", _LEAVE_EMPTY))
        result[:, index] = np.nan
    return Checked(result, tuple(problems))


def _indices(mask: NDArray[np.bool_]) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def _number(cell: object) -> object:
    """Cell as it is, except that a date is no number, though it could be counted in nanoseconds."""
    return "date" if isinstance(cell, pd.Timestamp | pd.Timedelta) else cell


def range_problems(
    table: Table, columns: Sequence[str], plausible: Sequence[Plausible], cells: Array
) -> Iterator[InputError]:
    """Name every column with cells ([P, columns]) outside its plausible range."""
    low = np.array([-np.inf if part.low is None else part.low for part in plausible])
    high = np.array([np.inf if part.high is None else part.high for part in plausible])
    outside = ((cells < low) | (cells > high)).sum(axis=0)
    for index in _indices(outside > 0):
        unit = f" {plausible[index].unit}" if plausible[index].unit else ""
        span = f"{low[index]:g} to {high[index]:g}{unit}"
        what = f"{outside[index]} cells are outside the plausible range {span}"
        yield table.problem(columns[index], what, "check the unit")


def codes(table: Table, column: str, levels: Sequence[str]) -> Checked[NDArray[np.int64]]:
    """Read a column of categories as [P] indices of levels, -1 where missing.

    Cells that are none of the levels are a problem.
    """
    cells = table.cells(column)
    index_of = {level: index for index, level in enumerate(levels)}
    filled = cells.notna().to_numpy()
    indices = np.array(
        [
            index_of.get(str(cell), index_of.get(as_text(cell), -1)) if is_filled else -1
            for cell, is_filled in zip(cells, filled, strict=True)
        ],
        dtype=np.int64,
    )
    unknown = int((filled & (indices < 0)).sum())
    if not unknown:
        return Checked(indices)
    what = f"{unknown} cells are none of the categories {', '.join(levels)}"
    return Checked(indices, (table.problem(column, what, "recode them or leave them empty"),))


def as_text(cell: object) -> str:
    """Spell a cell as the federation file does.

    1.0, read from a column with gaps, is the level '1'.
    """
    if isinstance(cell, bool | np.bool_):
        return str(cell)
    try:
        number = float(cell) if isinstance(cell, str | float | np.floating) else None
    except ValueError:
        number = None
    if number is not None and number.is_integer() and "." in str(cell):
        return str(int(number))
    return str(cell)
