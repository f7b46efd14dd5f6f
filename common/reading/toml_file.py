"""TOML file as a person saved it, and every fault in it with line, cause and remedy."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import InvalidContentError, MissingFileError, UnreadableFileError, escaped
from common.reading.access import read_bytes
from common.reading.objections import Location, invalid_content

if TYPE_CHECKING:  # the commands start without pydantic
    from pydantic import ValidationError


@dataclass(frozen=True)
class TomlFile:
    """Parsed TOML file.

    Attributes:
        path: the file.
        data: its content.
        text: its text, in which keys have lines.
    """

    path: Path
    data: dict[str, Any]
    text: str

    def where(self, *location: int | str) -> str:
        """Name the file, and the line and the key of a value in it."""
        key = ".".join(map(str, location))
        line = self.line_of(location)
        return ", ".join([str(self.path), *([f"line {line}"] if line else []), *([key] if key else [])])

    def line_of(self, location: Location) -> int | None:
        """Find the line of a value, or of the innermost table around it that has one."""
        lines = dict(reversed(list(_keys(self.text))))
        for length in range(len(location), 0, -1):
            if line := lines.get(tuple(location[:length])):
                return line
        return None

    def invalid(self, error: "ValidationError") -> InvalidContentError:
        """Make the error of what a schema objects to first."""
        first = error.errors(include_input=False, include_url=False)[0]
        line = self.line_of(first["loc"])
        return invalid_content(f"{self.path}, line {line}" if line else str(self.path), error)


def read_toml(path: Path, missing: MissingFileError) -> TomlFile:
    """Read a TOML file, with or without a byte order mark.

    Args:
        path: the file.
        missing: raised if there is no such file.

    Raises:
        InputError: if it cannot be read or is no TOML.
    """
    text = _decoded(path, read_bytes(path, missing))
    try:
        return TomlFile(path, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        raise _explained(path, text, str(error)) from None


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:200]:
        raise UnreadableFileError(f"{path}, line 1", "is saved as UTF-16", "save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "has a letter that is not saved as UTF-8, as editors on Windows do"
        raise UnreadableFileError(f"{path}, line {line}", what, "save the file as UTF-8") from None


def _explained(path: Path, text: str, message: str) -> UnreadableFileError:
    """Make the error of a line that is no TOML, with its likely cause."""
    position = re.search(r" \((?:at line (\d+), column (\d+)|at end of document)\)$", message)
    rows = text.split("\n")
    line = int(position[1]) if position and position[1] else len(text.rstrip().split("\n"))
    column = int(position[2]) if position and position[2] else None
    fault = message[: position.start()] if position else message
    row = rows[line - 1] if line <= len(rows) else ""
    what, remedy = _cause(row, fault)
    where = f"{path}, line {line}" + (f", column {column}" if column else "")
    return UnreadableFileError(where, what, remedy)


_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb"
"""Quotation marks that word processors put in place of straight ones."""


def _cause(row: str, fault: str) -> tuple[str, str]:
    """Tell what is wrong with a line, and what to write, from the parser's words and the line."""
    if fault.startswith(("Unescaped '\\'", "Invalid hex value", "Escaped character")):
        return "has a backslash between double quotes", _BACKSLASH
    if any(quote in row for quote in _QUOTES):
        return "has curved quotation marks", "use straight ones"
    if re.match(r"\s*[\w.-]+\s*:", row):
        return "has a colon after the key", "write an equals sign instead"
    if re.search(r"[=\[,]\s*[-+]?\d+,\d", row) and "[" not in row.partition("=")[2]:
        return "has a comma in a number", "write a point instead"
    if re.search(r"[=\[,]\s*(True|False|TRUE|FALSE)\b", row):
        return "has true or false in capitals", "write it in small letters"
    for start, what, remedy in _FAULTS:
        if fault.startswith(start):
            return what, remedy
    return f"is no TOML: {escaped(fault[:1].lower() + fault[1:])}", "correct the line"


_BACKSLASH = "write / instead of each backslash, or put the text in single quotes"
_FAULTS = (
    ("Cannot overwrite a value", "has a key that was given a value before", "keep one of the two"),
    ("Duplicate inline table key", "has a key that was given a value before", "keep one of the two"),
    (
        "Cannot declare",
        "begins a table that was begun before",
        "put all keys of the table under one heading",
    ),
    ("Cannot mutate", "adds to a table that is closed already", "put all keys of the table in one place"),
    ("Unterminated string", "has a quotation mark without its second one", "add it"),
    ("Illegal character '\\n'", "has a quotation mark without its second one", "add it"),
    ("Unclosed array", "has a list without its commas or its closing bracket", "add them"),
    ("Invalid value", "has a value that is not understood", "put a text in double quotes"),
    ("Invalid statement", "begins with what is no key", "begin it with a key, a [heading] or #"),
    ("Expected '='", "has no equals sign after the key", "write KEY = VALUE"),
    ("Expected ']'", "has a [heading] that is not closed on its line", "close it with ]"),
    (
        "Expected newline or end of document",
        "has more after its value",
        "put a text in double quotes, a number without unit, and one key on a line",
    ),
)
"""Beginnings of the parser's words, with what they mean and what to do."""

_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADING = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")


def _keys(text: str) -> Iterator[tuple[Location, int]]:
    """Yield every key at the beginning of a line and every heading, with its line."""
    table: Location = ()
    entries: dict[Location, int] = {}
    for number, row in enumerate(text.split("\n"), 1):
        if heading := _HEADING.match(row):
            table = _placed(_parts(heading[2]), entries)
            if heading[1] == "[[":
                entries[table] = entries.get(table, -1) + 1
                table = (*table, entries[table])
            yield table, number
        elif key := _KEY.match(row):
            for length in range(1, len(parts := _parts(key[1])) + 1):
                yield (*table, *parts[:length]), number


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _placed(parts: tuple[str, ...], entries: dict[Location, int]) -> Location:
    """Put behind every list of tables the position of its latest entry, but for the last part."""
    placed: Location = ()
    for index, part in enumerate(parts):
        placed = (*placed, part)
        if placed in entries and index < len(parts) - 1:
            placed = (*placed, entries[placed])
    return placed
