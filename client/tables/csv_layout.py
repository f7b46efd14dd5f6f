"""Layout of a CSV: its encoding, its separator, its column names and the widths of its rows.

A reader of CSV files takes nearly any text for one: a file separated by semicolons has one column, a row with a comma
too many shifts its cells, and a quotation mark too many swallows the rows up to the next. Here such a file is refused
with what is the matter.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path

from client.tables.spelling import plain
from common.counting import counted
from common.errors import InvalidContentError, UnreadableFileError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}

_SEARCHED = 60
"""First lines of a file in which its column names are looked for."""

_UTF8 = "save it as UTF-8 (in Excel as `CSV UTF-8`)"
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f") | {127}


def checked_names(path: Path, content: bytes, wanted: frozenset[str]) -> list[str]:
    """Return the column names of a CSV's first row, spelled plainly.

    Args:
        path: the file, for errors.
        content: its text, unpacked.
        wanted: names of columns that are looked for, by which the row of names and its separator are told.

    Raises:
        InputError: if it is no CSV of commas with one row of names above rows of the same width.
    """
    _check_encoding(path, content)
    names = [plain(name) for name in next(rows_of(content), [])]
    if not names:
        raise InvalidContentError(str(path), "is empty", "export it again")
    if not wanted <= set(names):
        _check_names(path, content, names, wanted)
    _check_widths(path, content, names)
    return names


def is_utf16(content: bytes) -> bool:
    """Whether a text is saved as UTF-16 or UTF-32, with its mark or without."""
    return (
        content.startswith((b"\xff\xfe", b"\xfe\xff"))
        or 0 < content[:1000].count(0) >= len(content[:1000]) // 3
    )


def _check_encoding(path: Path, content: bytes) -> None:
    if is_utf16(content):
        raise UnreadableFileError(str(path), "is saved as UTF-16", _UTF8)
    if _CONTROL & set(content[:1000]) or 0 in content:
        raise UnreadableFileError(
            str(path), "is neither text nor Parquet", "export it again, as CSV or Parquet"
        )
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "has letters that are not saved as UTF-8 but in an older way, such as Latin-1"
        raise UnreadableFileError(str(path), what, _UTF8) from None


def rows_of(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a CSV, that of the names first, without empty lines."""
    return (row for row in csv.reader(_lines(content)) if not is_blank(row))


def _lines(content: bytes) -> TextIOWrapper:
    return TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline="")


def is_blank(row: Sequence[str]) -> bool:
    """Whether a row is of an empty line, which is no row of the table."""
    return not row or (len(row) == 1 and not row[0].strip())


def _check_names(path: Path, content: bytes, names: Sequence[str], wanted: frozenset[str]) -> None:
    """Refuse a file whose column names are found in another line, or by another separator."""
    lines = {
        number: line for number, line in enumerate(islice(_lines(content), _SEARCHED), 1) if line.strip()
    }
    first = min(lines)
    best, number, separator = len(wanted & set(names)), first, ","
    for line_number, line in lines.items():
        for sign in _SEPARATORS:
            if (hits := len(wanted & set(_split(line, sign)))) > best:
                best, number, separator = hits, line_number, sign
    if not best and len(names) == 1:  # none is as asked for: what splits all lines alike may separate them
        separator = next((sign for sign in ";\t|" if _splits(lines.values(), sign)), ",")
    faults, remedies = [], []
    if separator != ",":
        faults.append(f"is separated by {_SEPARATORS[separator]}")
        remedies.append("save it separated by commas, and with a decimal point in numbers")
    if number > first:
        faults.append(f"has its column names in line {number}, below comments or titles")
        remedies.append(f"delete the {counted(number - 1, 'line')} above the column names")
    if faults:
        raise InvalidContentError(str(path), " and ".join(faults), ", and ".join(remedies))


def _split(line: str, separator: str) -> list[str]:
    return [plain(cell).removeprefix("#") for cell in next(csv.reader([line], delimiter=separator))]


def _splits(lines: Iterable[str], separator: str) -> bool:
    return min(line.count(separator) for line in lines) > 0


@dataclass
class _Widths:
    """Numbers of rows by how they differ from the row of names.

    Attributes:
        rows: width -> rows.
        open_ended: rows that are too long and end in an empty cell.
        swallowing: rows with a cell that holds other rows.
    """

    rows: Counter[int]
    open_ended: int = 0
    swallowing: int = 0


def _check_widths(path: Path, content: bytes, names: Sequence[str]) -> None:
    """Refuse a file with rows that are longer or shorter than the row of names."""
    if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
        widths = _widths_of_rows(path, content, len(names))
    else:
        widths = _widths_of_lines(content, len(names))
    total = widths.rows.total()
    if widths.swallowing:
        what = f"has a quotation mark without its second one, in {counted(widths.swallowing, 'place')}"
        raise InvalidContentError(
            str(path), f"{what}, so that a cell holds other rows", "delete or double it"
        )
    named = max(index for index, name in enumerate(names, 1) if name or index == 1)
    if len(widths.rows) == 1 and named <= max(widths.rows) <= len(
        names
    ):  # columns without a name may be left off
        return
    longer = sum(count for width, count in widths.rows.items() if width > len(names))
    shorter = total - longer - widths.rows[len(names)]
    if longer and longer == widths.open_ended:
        what = f"{counted(longer, 'row')} of {total} end in a comma and so have more cells than the header"
        raise InvalidContentError(str(path), what, "delete the comma at the end of these rows")
    if longer:
        what = f"{counted(longer, 'row')} of {total} have more cells than the header"
        raise InvalidContentError(str(path), what, "put texts and numbers that have a comma in double quotes")
    if shorter:
        what = f"{counted(shorter, 'row')} of {total} have fewer cells than the header"
        remedy = "export it again, with texts of several lines in double quotes, and whole"
        raise InvalidContentError(str(path), what, remedy)


def _widths_of_lines(content: bytes, width: int) -> _Widths:
    """Count widths in a text without quotation marks, a row to a line."""
    widths = _Widths(Counter())
    for line in islice((line for line in BytesIO(content) if line.strip()), 1, None):
        cells = line.count(b",") + 1
        widths.rows[cells] += 1
        widths.open_ended += cells > width and line.rstrip().endswith(b",")
    return widths


def _widths_of_rows(path: Path, content: bytes, width: int) -> _Widths:
    """Count widths in any text."""
    widths = _Widths(Counter())
    reader = csv.reader(_lines(content))
    line_number = 0
    try:
        for row in _without_names(reader):
            widths.rows[len(row)] += 1
            widths.open_ended += len(row) > width and not row[-1].strip()
            if reader.line_num > line_number + 1:
                widths.swallowing += any(_holds_rows(cell, width) for cell in row)
            line_number = reader.line_num
    except csv.Error:  # a cell of more than 128 KiB
        widths.swallowing += 1
    return widths


def _without_names(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    return islice((row for row in rows if not is_blank(row)), 1, None)


def _holds_rows(cell: str, width: int) -> bool:
    return "\n" in cell and any(line.count(",") == width - 1 for line in cell.split("\n")[1:])
