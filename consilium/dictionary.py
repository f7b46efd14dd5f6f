"""Data dictionaries: columns of a study as a table, or as REDCap exports them."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import InvalidContentError, MissingFileError, UnreadableFileError
from common.reading.access import read_bytes

NAME, TYPE, CHOICES = "Variable / Field Name", "Field Type", "Choices, Calculations, OR Slider Labels"
LABEL, VALIDATION = "Field Label", "Text Validation Type OR Show Slider Number"
LEAST, MOST, IDENTIFIER = "Text Validation Min", "Text Validation Max", "Identifier?"
PLAIN = ("name", "type", "unit", "low", "high", "levels", "label")
"""Columns of a table of columns."""

_CHOSEN = ("radio", "dropdown")
_SWITCHES = {"yesno": {"0": "No", "1": "Yes"}, "truefalse": {"0": "False", "1": "True"}}
_NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class DictionaryColumn:
    """Column of a data dictionary.

    Attributes:
        name: of the column.
        unit: of a number; empty where there is none.
        low: lowest plausible number; None where the dictionary does not say.
        high: highest plausible number.
        levels: level -> words for it; empty for a number.
        label: words for the column; empty without any.
    """

    name: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    levels: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


def read_dictionary(path: Path) -> tuple[list[DictionaryColumn], list[str]]:
    """Read a data dictionary of either form.

    Returns:
        Its columns, and a sentence for every field that is left out.

    Raises:
        InputError: if it cannot be read, is neither form, or a column does not fit.
    """
    missing = MissingFileError(str(path), "there is no such file", "name a CSV with a row per column")
    try:
        text = read_bytes(path, missing).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError(str(path), "is not saved as UTF-8", "save it as CSV UTF-8") from None
    rows = csv.DictReader(io.StringIO(text))
    heads = rows.fieldnames or ()
    if {NAME, TYPE} <= set(heads):
        return _redcap(rows, path)
    if {"name", "type"} <= set(heads):
        return [_plain(row, f"{path}, line {rows.line_num}") for row in rows], []
    what = "is no data dictionary: it has neither REDCap's columns nor name and type"
    raise InvalidContentError(str(path), what, f"give it the columns {', '.join(PLAIN)}")


def _plain(row: Mapping[str, str | None], where: str) -> DictionaryColumn:
    cells = {key: (row.get(key) or "").strip() for key in PLAIN}
    if cells["type"] == "number":
        low, high = (_number(cells[key], f"{where}, {key}") for key in ("low", "high"))
        return DictionaryColumn(cells["name"], cells["unit"], low, high, {}, cells["label"])
    if cells["type"] == "category":
        levels = {level.strip(): level.strip() for level in cells["levels"].split("|") if level.strip()}
        if len(levels) < 2:
            raise InvalidContentError(f"{where}, levels", "has fewer than two levels", "write them as a|b|c")
        return DictionaryColumn(cells["name"], levels=levels, label=cells["label"])
    raise InvalidContentError(f"{where}, type", "is neither number nor category", "write one of them")


def _redcap(rows: "csv.DictReader[str]", path: Path) -> tuple[list[DictionaryColumn], list[str]]:
    columns, left_out = [], []
    for row in rows:
        cells = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        name, kind = cells[NAME], cells[TYPE]
        where, label = f"{path}, line {rows.line_num}", cells.get(LABEL, "")
        if cells.get(IDENTIFIER, "").lower() == "y":
            left_out.append(f"{name}: it identifies patients")
        elif kind in _CHOSEN or kind in _SWITCHES:
            levels = _SWITCHES.get(kind) or _choices(cells.get(CHOICES, ""))
            columns.append(DictionaryColumn(name, levels=levels, label=label))
        elif kind == "calc" or cells.get(VALIDATION, "").startswith(_NUMBERS):
            low, high = (_number(cells.get(key, ""), f"{where}, {key}") for key in (LEAST, MOST))
            columns.append(DictionaryColumn(name, low=low, high=high, label=label))
        else:
            left_out.append(f"{name}: a field of type {kind or 'unknown'} is neither a number nor a choice")
    return columns, left_out


def _choices(text: str) -> dict[str, str]:
    """Read choices as REDCap writes them, such as `1, Male | 2, Female`."""
    pairs = (choice.partition(",") for choice in text.split("|") if choice.strip())
    return {code.strip(): (words.strip() or code.strip()) for code, _, words in pairs}


def _number(text: str, where: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise InvalidContentError(where, "is no number", "write it with a point, or leave it empty") from None
