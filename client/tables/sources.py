"""Columns of a table's file, CSV, Parquet or a workbook, by their positions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pandas as pd

from client.tables.csv_layout import as_utf8, checked_names, line_numbers, rows_of
from client.tables.header import Wanted
from client.tables.spelling import MISSING, plain
from client.tables.table_file import is_parquet, is_workbook, table_text
from client.tables.workbook import read_sheet
from common.errors import InvalidContentError, UnreadableFileError


class Source(ABC):
    """File of a table.

    Attributes:
        names: of all columns, spelled plainly.
        layout_rules: rules of intake by which a file of this kind is opened.
    """

    names: Sequence[str]
    layout_rules: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def first_cells(self) -> Iterator[str]:
        """Yield the cells of the first column."""

    @abstractmethod
    def read(self, positions: Mapping[str, int], wanted: Wanted) -> pd.DataFrame:
        """Read columns: name -> position; the index has the rows' numbers in the file.

        Raises:
            InputError: if they cannot be read.
        """


def open_source(path: Path, wanted: Wanted) -> Source:
    """Open a table's file as what it is.

    Raises:
        InputError: if it cannot be read, or is no table.
    """
    if is_parquet(path):
        return _Parquet(path)
    return _Workbook(path, wanted) if is_workbook(path) else _Csv(path, wanted)


class _Csv(Source):
    """CSV of the declared layout, of which only the columns asked for are read."""

    layout_rules = ("encoding", "delimiter", "header_row")

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path, rules = path, wanted.rules
        with table_text(path) as file:
            content = file.read()
        self._delimiter, self._header_row = rules.delimiter, rules.declared.header_row
        self._content = as_utf8(path, content, rules.encoding, self._header_row)
        self.names = checked_names(path, self._content, wanted.names, rules.delimiter, wanted.table)

    def first_cells(self) -> Iterator[str]:
        return (row[0] for row in islice(rows_of(self._content, self._delimiter), 1, None))

    def read(self, positions: Mapping[str, int], wanted: Wanted) -> pd.DataFrame:
        levels = {wanted.source_of(column): set(names) for column, names in wanted.categories.items()}
        texts = {wanted.identifier, *levels, *wanted.texts, *wanted.as_texts}
        keys = {name: str(position) for name, position in positions.items()}
        try:
            frame = pd.read_csv(
                BytesIO(self._content),
                sep=self._delimiter,
                header=0,
                names=list(map(str, range(len(self.names)))),
                usecols=list(dict.fromkeys(keys.values())),
                index_col=False,
                dtype={key: "str" for name, key in keys.items() if name in texts},
                na_values={key: sorted(MISSING - levels.get(name, set())) for name, key in keys.items()},
                keep_default_na=False,
                low_memory=False,
            )
        except (ValueError, OverflowError) as error:
            if "EOF inside string" in str(error):
                what = "has a quotation mark without its second one"
                raise InvalidContentError(str(self._path), what, "delete or double it") from None
            what = f"cannot be read as CSV ({type(error).__name__})"
            raise UnreadableFileError(str(self._path), what, "export it again") from None
        frame.index = pd.Index(
            line_numbers(self._content, self._delimiter, len(frame)) + self._header_row - 1
        )
        return frame[list(keys.values())].set_axis(list(keys), axis=1)


class _Workbook(Source):
    """Sheet of an Excel workbook, whose cells have types."""

    layout_rules = ("sheet", "header_row")

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._header_row = wanted.rules.declared.header_row
        self._rows = read_sheet(
            path, wanted.rules.declared.sheet, self._header_row, wanted.table, wanted.names
        )
        self.names = [plain(name) for name in self._rows.names]

    def first_cells(self) -> Iterator[str]:
        return (str(row[0]) for row in self._rows.rows if row)

    def read(self, positions: Mapping[str, int], wanted: Wanted) -> pd.DataFrame:
        columns = {name: [row[position] for row in self._rows.rows] for name, position in positions.items()}
        return pd.DataFrame(columns, index=pd.Index(self._rows.numbers), dtype=object)


class _Parquet(Source):
    """Parquet, whose columns have types."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        self._path = path
        with _explaining(path), path.open("rb") as file:
            self._names = list(ParquetFile(file).schema_arrow.names)
        self.names = [plain(name) for name in self._names]

    def first_cells(self) -> Iterator[str]:
        from pyarrow.parquet import read_table

        with _explaining(self._path):
            cells = read_table(self._path, columns=self._names[:1]).column(0).to_pylist()
        return (str(cell) for cell in cells)

    def read(self, positions: Mapping[str, int], wanted: Wanted) -> pd.DataFrame:
        names = {self._names[position]: name for name, position in positions.items()}
        with _explaining(self._path):
            frame = pd.read_parquet(self._path, columns=list(names))
        if any(name in names for name in frame.index.names):  # pandas wrote the identifiers as its index
            frame = frame.reset_index()
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        return frame[list(names)].rename(columns=names)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Tell of damage, for which the reader of Parquet raises nearly anything."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        what = f"is Parquet that is damaged or cut off ({type(error).__name__})"
        raise UnreadableFileError(str(path), what, "export it again") from None
