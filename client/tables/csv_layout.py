"""Layout of a CSV: its encoding, its separator, its column names and the widths of its rows.

A reader of CSV files takes nearly any text for one: a file separated by semicolons has one column, a row with a comma
too many shifts its cells, and a quotation mark too many swallows the rows up to the next. Here such a file is refused
with what is the matter, and with the line of `site.toml` that declares its layout.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.tables.spelling import plain
from common.counting import counted
from common.errors import InvalidContentError, UnreadableFileError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}

_SEARCHED = 60
"""First lines of a file in which its column names are looked for."""

TOML_SIGNS = {"\t": "\\t"}
"""Signs between cells that TOML writes otherwise than they are."""

_UTF8 = "save it as UTF-8 (in Excel as `CSV UTF-8`), or declare its encoding"
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f") | {127}


def checked_names(
    path: Path, content: bytes, wanted: frozenset[str], delimiter: str = ",", table: str = "TABLE"
) -> list[str]:
    """Return the column names of a CSV's first row, spelled plainly.

    Args:
        path: the file, for errors.
        content: its text, unpacked.
        wanted: names of columns that are looked for, by which the row of names and its separator are told.
        delimiter: sign between cells.
        table: its name in the federation file, for remedies.

    Raises:
        InputError: if it is no such CSV with one row of names above rows of the same width.
    """
    check_encoding(path, content, table)
    names = [plain(name) for name in next(rows_of(content, delimiter), [])]
    if not names:
        raise InvalidContentError(str(path), "is empty", "export it again")
    if not wanted <= set(names):
        _check_names(path, content, names, wanted, delimiter, table)
    _check_widths(path, content, names, delimiter)
    return names


def as_utf8(path: Path, content: bytes, encoding: str, header_row: int = 1) -> bytes:
    """Return a text as UTF-8, from the row of its column names on.

    Raises:
        InputError: if it is not saved in the declared encoding, or has fewer rows.
    """
    name = codecs.lookup(encoding).name
    if name != "utf-8":
        if is_utf16(content) and not name.startswith(("utf-16", "utf-32")):
            what = f"is saved as UTF-16, and {encoding} is declared"
            raise UnreadableFileError(str(path), what, 'declare encoding = "utf-16"')
        try:
            content = content.decode(encoding).encode()
        except UnicodeError:
            what = f"is not saved as {encoding}, which is declared"
            raise UnreadableFileError(
                str(path), what, "correct encoding under [intake] in site.toml"
            ) from None
    if header_row == 1:
        return content
    lines = content.splitlines(keepends=True)
    if len(lines) < header_row:
        what = f"has no row {header_row}, which is declared to hold the column names"
        raise InvalidContentError(str(path), what, "correct header_row in site.toml")
    return b"".join(lines[header_row - 1 :])


def is_utf16(content: bytes) -> bool:
    """Whether a text is saved as UTF-16 or UTF-32, with its mark or without."""
    return (
        content.startswith((b"\xff\xfe", b"\xfe\xff"))
        or 0 < content[:1000].count(0) >= len(content[:1000]) // 3
    )


def check_encoding(path: Path, content: bytes, table: str = "TABLE") -> None:
    """Require a text in UTF-8.

    Raises:
        InputError: if it is another text, or none; the remedy has the line that declares it.
    """
    if is_utf16(content):
        raise UnreadableFileError(
            str(path), "is saved as UTF-16", f"{_UTF8}: {declare(table, 'encoding', 'utf-16')}"
        )
    if _CONTROL & set(content[:1000]) or 0 in content:
        raise UnreadableFileError(
            str(path), "is neither text nor Parquet", "export it again, as CSV or Parquet"
        )
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "has letters that are not saved as UTF-8 but in an older way, such as Latin-1"
        remedy = f"{_UTF8}: {declare(table, 'encoding', 'windows-1252')}"
        raise UnreadableFileError(str(path), what, remedy) from None


def declare(table: str, key: str, value: str | int) -> str:
    """Write the line that declares a rule of intake, and where it stands."""
    text = value if isinstance(value, int) else f'"{TOML_SIGNS.get(value, value)}"'
    return f"write {key} = {text} under [intake.{table}] in site.toml"


def rows_of(content: bytes, delimiter: str = ",") -> Iterator[list[str]]:
    """Yield the rows of a CSV, that of the names first, without empty lines."""
    return (row for row in csv.reader(_lines(content), delimiter=delimiter) if not is_blank(row))


def line_numbers(content: bytes, delimiter: str, rows: int) -> NDArray[np.int64]:
    """Return [rows] the lines in which the rows begin, from 1 for the line of the names."""
    regular: NDArray[np.int64] = np.arange(2, rows + 2)
    if content.rstrip(b"\r\n").count(b"\n") == rows and b"\r" not in content.replace(b"\r\n", b""):
        return regular
    reader, starts, line = csv.reader(_lines(content), delimiter=delimiter), list[int](), 0
    for row in reader:
        if not is_blank(row):
            starts.append(line + 1)
        line = reader.line_num
    exact: NDArray[np.int64] = np.array(starts[1:], dtype=np.int64)
    return exact if len(exact) == rows else regular


def _lines(content: bytes) -> TextIOWrapper:
    return TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline="")


def is_blank(row: Sequence[str]) -> bool:
    """Whether a row is of an empty line, which is no row of the table."""
    return not row or (len(row) == 1 and not row[0].strip())


@dataclass(frozen=True)
class TextLayout:
    """Layout of a text as its lines show it.

    Attributes:
        header_row: line of the column names, from 1.
        above: lines above it that are not empty.
        delimiter: sign between cells.
    """

    header_row: int
    above: int
    delimiter: str


def layout_of(content: bytes, wanted: frozenset[str], delimiter: str = ",") -> TextLayout:
    """Find the line with the most of the wanted names, and the sign by which it is split."""
    lines = {
        number: line for number, line in enumerate(islice(_lines(content), _SEARCHED), 1) if line.strip()
    }
    first = min(lines)
    names = _split(lines[first], delimiter)
    best, number, separator = len(wanted & set(names)), first, delimiter
    for line_number, line in lines.items():
        for sign in _SEPARATORS:
            if (hits := len(wanted & set(_split(line, sign)))) > best:
                best, number, separator = hits, line_number, sign
    if not best and len(names) == 1:  # none is as asked for: what splits all lines alike may separate them
        separator = next((sign for sign in ";\t|," if _splits(lines.values(), sign)), delimiter)
    return TextLayout(number, sum(line < number for line in lines), separator)


def _check_names(
    path: Path, content: bytes, names: Sequence[str], wanted: frozenset[str], delimiter: str, table: str
) -> None:
    """Refuse a file whose column names are found in another line, or by another separator."""
    layout = layout_of(content, wanted, delimiter)
    faults, rules, remedies = [], {}, []
    if layout.delimiter != delimiter:
        faults.append(f"is separated by {_SEPARATORS[layout.delimiter]}")
        rules["delimiter"] = f'"{TOML_SIGNS.get(layout.delimiter, layout.delimiter)}"'
    if layout.above:
        faults.append(f"has its column names in line {layout.header_row}, below comments or titles")
        rules["header_row"] = str(layout.header_row)
        if layout.delimiter == delimiter:
            remedies.append(f"or delete the {counted(layout.header_row - 1, 'line')} above the column names")
    if faults:
        if layout.delimiter != "," == delimiter:
            remedies.append("or save it separated by commas and with a decimal point in numbers")
        lines = " and ".join(f"{key} = {value}" for key, value in rules.items())
        remedies.insert(0, f"write {lines} under [intake.{table}] in site.toml")
        raise InvalidContentError(str(path), " and ".join(faults), ", ".join(remedies))


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


def _check_widths(path: Path, content: bytes, names: Sequence[str], delimiter: str) -> None:
    """Refuse a file with rows that are longer or shorter than the row of names."""
    if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
        widths = _widths_of_rows(content, len(names), delimiter)
    else:
        widths = _widths_of_lines(content, len(names), delimiter)
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
    sign = _SEPARATORS[delimiter].removesuffix("s")
    if longer and longer == widths.open_ended:
        what = f"{counted(longer, 'row')} of {total} end in a {sign} and so have more cells than the header"
        raise InvalidContentError(str(path), what, f"delete the {sign} at the end of these rows")
    if longer:
        what = f"{counted(longer, 'row')} of {total} have more cells than the header"
        raise InvalidContentError(
            str(path), what, f"put texts and numbers that have a {sign} in double quotes"
        )
    if shorter:
        what = f"{counted(shorter, 'row')} of {total} have fewer cells than the header"
        remedy = "export it again, with texts of several lines in double quotes, and whole"
        raise InvalidContentError(str(path), what, remedy)


def _widths_of_lines(content: bytes, width: int, delimiter: str) -> _Widths:
    """Count widths in a text without quotation marks, a row to a line."""
    widths, sign = _Widths(Counter()), delimiter.encode()
    for line in islice((line for line in BytesIO(content) if line.strip()), 1, None):
        cells = line.count(sign) + 1
        widths.rows[cells] += 1
        widths.open_ended += cells > width and line.rstrip(b"\r\n ").endswith(sign)
    return widths


def _widths_of_rows(content: bytes, width: int, delimiter: str) -> _Widths:
    """Count widths in any text."""
    widths = _Widths(Counter())
    reader = csv.reader(_lines(content), delimiter=delimiter)
    line_number = 0
    try:
        for row in _without_names(reader):
            widths.rows[len(row)] += 1
            widths.open_ended += len(row) > width and not row[-1].strip()
            if reader.line_num > line_number + 1:
                widths.swallowing += any(_holds_rows(cell, width, delimiter) for cell in row)
            line_number = reader.line_num
    except csv.Error:  # a cell of more than 128 KiB
        widths.swallowing += 1
    return widths


def _without_names(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    return islice((row for row in rows if not is_blank(row)), 1, None)


def _holds_rows(cell: str, width: int, delimiter: str) -> bool:
    return "\n" in cell and any(line.count(delimiter) == width - 1 for line in cell.split("\n")[1:])
