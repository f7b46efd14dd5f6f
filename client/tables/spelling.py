"""Spelling of names and cells: what looks the same is the same."""

import re
from datetime import datetime, time
from unicodedata import category, normalize

import numpy as np

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "<NA>", "null", "NULL", "None"})
"""Texts by which exports write an empty cell, unless the federation file has a category of that name."""


def plain(text: str) -> str:
    """Spell a text as it is seen.

    It has no invisible sign, and no blank at its ends or beside another. A letter with an accent is one
    sign (NFC), as keyboards write it and Macs do not.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    visible = "".join(sign for sign in normalize("NFC", text) if category(sign) != "Cf")
    return " ".join(visible.split())


def loose(text: str) -> str:
    """Spell a name by its letters and digits alone, in small letters."""
    return re.sub(r"[\W_]", "", plain(text)).casefold()


def as_text(cell: object) -> str:
    """Spell a cell as the federation file does.

    1.0, read from a column with gaps, is the level '1', and a day of a typed column is written as in a CSV.
    """
    if isinstance(cell, datetime) and cell.tzinfo is None and cell == datetime.combine(cell, time.min):
        return cell.date().isoformat()
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    text = plain(str(cell))
    whole = re.fullmatch(r"(-?\d+)\.0+", text)
    return whole[1] if whole else text
