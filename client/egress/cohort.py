"""Size of a hospital's cohort, read from its tables alone and never from the app.

A table's rows are counted at every message, which costs less than the reading of the table, so that no count is stale
when a table grows. Where every unit has a row in one table, its rows are counted exactly; of other tables the lines
are, which are rows or more. Patients' values are read for neither.
"""

import bz2
import csv
import gzip
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.agreement.settings import held_out
from common.families.registry import family_of

_BLOCK = 1 << 20


@dataclass(frozen=True)
class CohortSize:
    """Numbers of a hospital's units.

    Attributes:
        units: all of them; None if the family has no table with a row for each.
        training: those that train; None likewise.
        validation: those that validate without privacy; None likewise.
        rows: table -> rows or more, of the tables that the hospital has.
        absent: tables of the agreement that it has not.
    """

    units: int | None
    training: int | None
    validation: int | None
    rows: Mapping[str, int]
    absent: frozenset[str]

    def most(self, table: str | None) -> float:
        """Return the most training units with something in a table; None is any."""
        if table in self.absent:
            return 0
        limits = [limit for limit in (self.training, self.rows.get(table or "")) if limit is not None]
        return min(limits, default=float("inf"))


def count_cohort(folder: Path, site: SiteFile, federation: Agreement) -> CohortSize:
    """Count the units of a site folder.

    Raises:
        OSError: if a table cannot be read.
    """
    unit_table = family_of(federation).unit_table(federation)
    tables = {name: folder / site.tables[name] for name in federation.tables if name in site.tables}
    rows = {name: _rows(path, exact=name == unit_table) for name, path in tables.items()}
    absent = frozenset(federation.tables) - set(tables)
    units = None if unit_table is None else rows.get(unit_table, 0)
    if units is None:
        return CohortSize(None, None, None, rows, absent)
    fraction = federation.training.validation_fraction
    held = held_out(units, fraction) if federation.privacy is None else 0
    return CohortSize(units, units - held, held, rows, absent)


def _rows(path: Path, exact: bool) -> int:
    """Count the rows of a table, or its lines, which are as many or more."""
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_metadata  # only a hospital with such a table needs it

        return int(read_metadata(path).num_rows)
    opened = _OPENERS.get(path.suffix)
    if opened is None:
        from pandas import read_csv  # which knows the other ways to pack a table

        return len(read_csv(path, usecols=[0], low_memory=False))
    if exact:
        with opened(path, newline="") as file:
            return sum(1 for row in csv.reader(file) if row) - 1
    with opened(path, newline=None) as file:
        return sum(block.count("\n") for block in iter(partial(file.read, _BLOCK), ""))


_Opener = Callable[..., TextIO]


def _text(opened: Callable[..., TextIO]) -> _Opener:
    return partial(opened, mode="rt", encoding="utf-8", errors="replace")


_OPENERS: dict[str, _Opener] = {
    ".csv": _text(open),
    ".tsv": _text(open),
    ".txt": _text(open),
    "": _text(open),
    ".gz": _text(gzip.open),
    ".bz2": _text(bz2.open),
    ".xz": _text(lzma.open),
}
