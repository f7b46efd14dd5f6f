"""Sheet of an Excel workbook, read by the rows and columns that a hospital declares.

Cells keep their types: numbers are numbers, days are days, and texts are texts. A formula is its value as Excel stored
it; one without a stored value is refused, because its cell would read as an empty one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from client.tables.spelling import plain
from client.tables.table_file import damaged_workbook
from common.counting import counted
from common.errors import InvalidContentError, UnreadableFileError
from common.extras import require_extra

if TYPE_CHECKING:
    from openpyxl import Workbook

_SEARCHED = 60
"""First rows of a sheet in which its column names are looked for."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class SheetRows:
    """Rows of a sheet.

    Attributes:
        names: of the columns.
        rows: cells below them, as many as names; rows without any are left out.
        numbers: the rows' numbers in the sheet.
    """

    names: list[str]
    rows: list[tuple[object, ...]]
    numbers: list[int]


@dataclass(frozen=True)
class SheetPlace:
    """Sheet and row in which the most of some column names stand.

    Attributes:
        sheet: its name; None if no sheet has any of the names and there are several.
        header_row: row of the names, from 1.
        sheets: number of sheets in the workbook.
    """

    sheet: str | None
    header_row: int
    sheets: int


def read_sheet(
    path: Path, sheet: str | None, header_row: int, table: str, wanted: frozenset[str]
) -> SheetRows:
    """Read a sheet of a workbook.

    Args:
        path: the file.
        sheet: name of the sheet; None if none is declared.
        header_row: row of the column names, from 1.
        table: its name in the federation file, for remedies.
        wanted: names of columns that are looked for, by which a sheet is proposed.

    Raises:
        InputError: if the workbook cannot be read, no sheet is declared, or it is not there.
    """
    require_extra("excel", f"{path}, an Excel workbook,")
    with opened_workbook(path) as workbook:
        if sheet is None:
            raise _undeclared(path, workbook, table, wanted)
        if sheet not in workbook.sheetnames:
            what = f"has no sheet of the declared name among {counted(len(workbook.sheetnames), 'sheet')}"
            raise InvalidContentError(str(path), what, f"correct sheet under [intake.{table}] in site.toml")
        rows = workbook[sheet].iter_rows(values_only=True)
        numbered = [
            (number, cells)
            for number, cells in enumerate(rows, 1)
            if number >= header_row and any(cell is not None for cell in cells)
        ]
    if not numbered or numbered[0][0] != header_row:
        what = f"has no column names in row {header_row} of the declared sheet"
        raise InvalidContentError(str(path), what, f"correct header_row under [intake.{table}] in site.toml")
    names = [_name(cell) for cell in numbered[0][1]]
    while names and not names[-1]:
        names.pop()
    require_stored_values(path, sheet)
    rows_below = [(number, cells[: len(names)]) for number, cells in numbered[1:]]
    return SheetRows(
        names,
        [tuple(map(_cell, cells)) + (None,) * (len(names) - len(cells)) for _, cells in rows_below],
        [number for number, _ in rows_below],
    )


@contextmanager
def opened_workbook(path: Path) -> "Iterator[Workbook]":
    """Open a workbook for reading of the stored values.

    Raises:
        InputError: if it is damaged.
    """
    import warnings

    from openpyxl import load_workbook

    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions, which are not read
        try:
            workbook = load_workbook(file, read_only=True, data_only=True)
        except MemoryError:
            raise
        except Exception:  # of a damaged workbook openpyxl raises nearly anything
            raise damaged_workbook(path) from None
        try:
            yield workbook
        finally:
            workbook.close()


def find_sheet(workbook: "Workbook", wanted: frozenset[str]) -> SheetPlace:
    """Find the sheet and the row with the most of the wanted names."""
    sheets = workbook.sheetnames
    best, sheet, header_row = 0, sheets[0] if len(sheets) == 1 else None, 1
    for name in sheets:
        for number, cells in enumerate(
            islice(workbook[name].iter_rows(values_only=True, max_row=_SEARCHED), _SEARCHED), 1
        ):
            if (hits := len(wanted & {plain(_name(cell)) for cell in cells})) > best:
                best, sheet, header_row = hits, name, number
    return SheetPlace(sheet, header_row, len(sheets))


def _undeclared(path: Path, workbook: "Workbook", table: str, wanted: frozenset[str]) -> InvalidContentError:
    likeliest = find_sheet(workbook, wanted)
    what = f"is an Excel workbook of {counted(likeliest.sheets, 'sheet')}, and none is declared"
    lines = 'sheet = "NAME"' if likeliest.sheet is None else f'sheet = "{likeliest.sheet}"'
    if likeliest.header_row > 1:
        lines += f" and header_row = {likeliest.header_row}"
    remedy = f"write {lines} under [intake.{table}] in site.toml, or save the sheet as CSV"
    return InvalidContentError(str(path), what, remedy)


def require_stored_values(path: Path, sheet: str) -> None:
    """Refuse a sheet with formulas whose values were never stored.

    Raises:
        InputError: with the number of such cells.
    """
    if not _has_formulas(path):
        return
    from openpyxl import load_workbook

    with path.open("rb") as file, opened_workbook(path) as stored:
        formulas = load_workbook(file, read_only=True, data_only=False)
        empty = sum(
            isinstance(formula, str) and formula.startswith("=") and value is None
            for row, values in zip(
                formulas[sheet].iter_rows(values_only=True),
                stored[sheet].iter_rows(values_only=True),
                strict=True,
            )
            for formula, value in zip(row, values, strict=True)
        )
        formulas.close()
    if empty:
        what = f"has {counted(empty, 'formula')} without a stored value"
        raise UnreadableFileError(str(path), what, "open it in Excel, save it, and try again")


def _has_formulas(path: Path) -> bool:
    """Whether a sheet's XML has the element of a formula."""
    try:
        with ZipFile(path) as archive:
            sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
            return any(b"<f>" in content or b"<f " in content for content in map(archive.read, sheets))
    except (BadZipFile, OSError):
        return True


def _name(cell: object) -> str:
    """Write the name of a column; a day as Excel shows the gene that it took for one."""
    if isinstance(cell, datetime | date):
        return f"{cell.day}-{_MONTHS[cell.month - 1]}"
    return "" if cell is None else str(cell)


def _cell(cell: Any) -> object:
    """Return a cell; whole days have no clock, and whole numbers no point."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return cell
