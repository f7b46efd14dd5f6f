"""One table of a hospital: from its file to finite numbers and category codes, with every problem named.

A problem names the file, the hospital's own column and the remedy; never a cell, never a patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from common.agreement.modalities import Plausible
from common.errors import InputError

Array = NDArray[np.float64]


MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "<NA>", "null", "NULL", "None"})
"""How exports write an empty cell of a CSV, unless the federation file has a category of that name."""


@dataclass(frozen=True)
class Table:
    """A table indexed by patient, under the hospital's column names.

    Attributes:
        path: its file.
        frame: one row per patient; an empty row where a patient has none.
        own: the federation's column -> the hospital's, where they differ.
    """

    path: Path
    frame: pd.DataFrame
    own: Mapping[str, str]

    def where(self, column: str) -> str:
        """File and column, for a sentence."""
        return f"{self.path}, column {self.own.get(column, column)}"

    def cells(self, column: str) -> "pd.Series[Any]":
        """The cells of one of the federation's columns."""
        return self.frame[self.own.get(column, column)]

    def of(self, patients: pd.Index) -> "Table":
        """The rows of these patients, in their order."""
        return Table(self.path, self.frame.reindex(patients), self.own)


def read_table(
    path: Path,
    identifier: str,
    own: Mapping[str, str],
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    remedy: str,
    problems: list[InputError],
) -> Table | None:
    """Read one table; None, and problems, if it is not usable.

    Args:
        path: CSV or Parquet, by its ending.
        identifier: the hospital's column of patient identifiers.
        own: the federation's column -> the hospital's, where they differ.
        columns: columns of the federation the table must have.
        categories: which of them are categorical, and their levels.
        remedy: what to do about a missing column.
        problems: the list to add to.
    """
    found = len(problems)
    raw = _read_file(path, identifier, own, categories, problems)
    if raw is None:
        return None
    if raw.index.name == identifier:
        raw = raw.reset_index()
    needed = [identifier, *(own.get(name, name) for name in columns)]
    missing = [column for column in needed if column not in raw.columns]
    problems.extend(InputError(f"{path}, column {column}", "is missing", remedy) for column in missing)
    if len(problems) > found:
        return None
    if raw.empty:
        problems.append(InputError(str(path), "the table is empty", "export it again"))
        return None
    where = f"{path}, column {identifier}"
    if raw[identifier].isna().any():
        problems.append(InputError(where, "has rows without a patient", "complete or drop them"))
    patients = raw[identifier].map(as_text)
    if (repeated := int(patients.duplicated().sum())) > 0:
        problems.append(InputError(where, f"{repeated} rows repeat a patient", "keep one row per patient"))
    return None if len(problems) > found else Table(path, raw.set_index(pd.Index(patients)), own)


def _read_file(
    path: Path,
    identifier: str,
    own: Mapping[str, str],
    categories: Mapping[str, Sequence[str]],
    problems: list[InputError],
) -> pd.DataFrame | None:
    levels = {level for names in categories.values() for level in names}
    text = dict.fromkeys([identifier, *(own.get(name, name) for name in categories)], "str")
    parquet = path.suffix == ".parquet"
    try:
        if parquet:
            return pd.read_parquet(path)
        return pd.read_csv(
            path, dtype=text, na_values=sorted(MISSING - levels), keep_default_na=False, low_memory=False
        )
    except FileNotFoundError:
        problem = InputError(str(path), "there is no such file", "correct [tables] in the site file")
    except pd.errors.EmptyDataError:
        problem = InputError(str(path), "the table is empty", "export it again")
    except (
        Exception
    ) as error:  # damaged metadata makes the Parquet reader raise nearly anything, the damage as its text
        what = f"cannot be read as {'Parquet' if parquet else 'CSV'} ({type(error).__name__})"
        problem = InputError(str(path), what, "export it again")
    problems.append(problem)
    return None


def numbers(table: Table, columns: Sequence[str], problems: list[InputError]) -> Array:
    """[P, columns] float64, NaN where missing; cells that are not finite numbers are a problem."""
    frame = table.frame[[table.own.get(column, column) for column in columns]]
    numeric = np.array([is_numeric_dtype(dtype) for dtype in frame.dtypes], dtype=bool)
    result = np.full(frame.shape, np.nan)
    result[:, numeric] = frame.loc[:, numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    for place in _places(~numeric):
        cells = frame.iloc[:, place].astype(object)
        parsed = pd.to_numeric(cells.map(_number), errors="coerce")
        if (parsed.isna() & cells.notna()).any():
            where = table.where(columns[place])
            problems.append(InputError(where, "has cells that are not numbers", "leave unknown cells empty"))
        else:
            result[:, place] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    for place in _places(np.isinf(result).any(axis=0)):
        where = table.where(columns[place])
        problems.append(InputError(where, "has infinite cells", "leave unknown cells empty"))
        result[:, place] = np.nan
    return result


def _places(which: NDArray[np.bool_]) -> list[int]:
    return [int(place) for place in np.flatnonzero(which)]


def _number(cell: object) -> object:
    """A cell as it is, except that a date is no number, though it could be counted in nanoseconds."""
    return "date" if isinstance(cell, pd.Timestamp | pd.Timedelta) else cell


def check_ranges(
    table: Table,
    columns: Sequence[str],
    plausible: Sequence[Plausible],
    cells: Array,
    problems: list[InputError],
) -> None:
    """Name every column with cells ([P, columns]) outside its plausible range."""
    low = np.array([-np.inf if part.low is None else part.low for part in plausible])
    high = np.array([np.inf if part.high is None else part.high for part in plausible])
    outside = ((cells < low) | (cells > high)).sum(axis=0)
    for place in _places(outside > 0):
        unit = f" {plausible[place].unit}" if plausible[place].unit else ""
        span = f"{low[place]:g} to {high[place]:g}{unit}"
        what = f"{outside[place]} cells are outside the plausible range {span}"
        problems.append(InputError(table.where(columns[place]), what, "check the unit"))


def codes(table: Table, column: str, levels: Sequence[str], problems: list[InputError]) -> NDArray[np.int64]:
    """[P] index of each cell's level, -1 where missing; a cell that is none of the levels is a problem."""
    cells = table.cells(column)
    place = {level: index for index, level in enumerate(levels)}
    known = cells.notna().to_numpy()
    found = np.array(
        [
            place.get(str(cell), place.get(as_text(cell), -1)) if ok else -1
            for cell, ok in zip(cells, known, strict=True)
        ],
        dtype=np.int64,
    )
    if unknown := int((known & (found < 0)).sum()):
        what = f"{unknown} cells are none of the categories {', '.join(levels)}"
        problems.append(InputError(table.where(column), what, "recode them or leave them empty"))
    return found


def as_text(cell: object) -> str:
    """How a cell is spelt in the federation file: 1.0, read from a column with gaps, is the level '1'."""
    if isinstance(cell, bool | np.bool_):
        return str(cell)
    try:
        number = float(cell) if isinstance(cell, str | float | np.floating) else None
    except ValueError:
        number = None
    if number is not None and number.is_integer() and "." in str(cell):
        return str(int(number))
    return str(cell)
