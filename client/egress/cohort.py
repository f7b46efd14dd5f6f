"""Size of a hospital's cohort, read from its tables alone and never from the app.

A table's rows are counted at every message, which costs less than the reading of the table, so that no count is stale
when a table grows. Where every unit has a row in one table, its rows are counted exactly; of other tables the lines
are, which are rows or more. Patients' values are read for neither. Where rules of intake choose among a table's rows,
they choose here as well.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from client.site_folder.site_file import SiteFile
from client.tables.csv_layout import is_blank
from client.tables.table_file import is_parquet, is_workbook, table_text
from common.agreement.agreement import Agreement
from common.agreement.settings import set_aside
from common.assessment.part import Whose
from common.families.registry import family_of

_BLOCK = 1 << 20


@dataclass(frozen=True)
class CohortSize:
    """Numbers of a hospital's units.

    Attributes:
        units: all of them; None if the family has no table with a row for each.
        training: those that train; None likewise.
        validation: those that validate without privacy; None likewise.
        calibration: those that calibrate without privacy; None likewise.
        test: those that test without privacy; None likewise.
        rows: table -> rows or more, of the tables that the hospital has.
        absent: tables of the agreement that it has not.
    """

    units: int | None
    training: int | None
    validation: int | None
    calibration: int | None
    test: int | None
    rows: Mapping[str, int]
    absent: frozenset[str]

    def of(self, whose: Whose) -> int | None:
        """Return how many units a part of an assessment is about."""
        if whose is Whose.HELD_OUT:
            both = self.validation, self.calibration
            return None if None in both else sum(number or 0 for number in both)
        number: int | None = getattr(self, whose.value)
        return number

    def most(self, table: str | None) -> float:
        """Return the most training units with something in a table; None is any."""
        if table in self.absent:
            return 0
        limits = [limit for limit in (self.training, self.rows.get(table or "")) if limit is not None]
        return min(limits, default=float("inf"))


def count_cohort(folder: Path, site: SiteFile, federation: Agreement) -> CohortSize:
    """Count the units of a site folder.

    Raises:
        InputError: if a table cannot be read.
    """
    unit_table = family_of(federation).unit_table(federation)
    tables = {name: folder / site.tables[name] for name in federation.tables if name in site.tables}
    rows = {name: _rows_of(name, path, site, exact=name == unit_table) for name, path in tables.items()}
    absent = frozenset(federation.tables) - set(tables)
    units = None if unit_table is None else rows.get(unit_table, 0)
    if units is None:
        return CohortSize(None, None, None, None, None, rows, absent)
    private = federation.privacy is not None
    aside = (0, 0, 0) if private else set_aside(units, federation.training)
    return CohortSize(units, units - sum(aside), *aside, rows, absent)


def _rows_of(table: str, path: Path, site: SiteFile, exact: bool) -> int:
    """Count the rows of a table, by its rules of intake where its rows depend on any."""
    rules = site.rules_of(table)
    if is_workbook(path) or (exact and rules.changes_rows):
        from client.intake.counting import count_patients  # brings pandas

        return count_patients(path, site.identifier_of(table), rules)
    return _rows(path, exact)


def _rows(path: Path, exact: bool) -> int:
    """Count the rows of a table, or its lines, which are as many or more."""
    if is_parquet(path):
        from pyarrow.parquet import read_metadata  # only a hospital with such a table needs it

        return int(read_metadata(path).num_rows)
    with table_text(path) as file:
        if exact:
            text = TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
            return sum(1 for row in csv.reader(text) if not is_blank(row)) - 1
        return sum(_line_ends(block) for block in iter(partial(file.read, _BLOCK), b""))


def _line_ends(block: bytes) -> int:
    """Count the ends of lines; one of two signs that two blocks share counts twice."""
    return block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
