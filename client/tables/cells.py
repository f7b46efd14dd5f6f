"""Cells of a column that should hold numbers, and what stands there instead."""

import re
from collections import Counter
from typing import Any

import pandas as pd

from client.tables.spelling import MISSING, plain
from client.tables.vocabulary import UNKNOWN
from common.counting import counted

_FORMS = {
    "a comma": re.compile(r"[-+]?[\d.' ]*,\d[\d,.' ]*(e[-+]?\d+)?", re.IGNORECASE),
    "separators of thousands": re.compile(r"[-+]?\d{1,3}([.' ]\d{3})+"),
    "a date": re.compile(
        r"\d{1,4}([-./ ])(\d{1,2}|[a-z]{3,9})\1\d{1,4}.*|[a-z]{3,9} \d{1,2}, \d{4}.*", re.IGNORECASE
    ),
    "a limit": re.compile(r"(<|>|\u2264|\u2265|~)=? ?[-+]?\d.*"),
    "more than a number": re.compile(r"[-+]?\d[\d.,]*\D.*"),
}
"""Texts that a person takes for a number, by the words for them."""

LEAVE_EMPTY = "leave unknown cells empty"
NAME_MISSING = f"{LEAVE_EMPTY}, or name what stands for them as missing under [intake] in site.toml"
ONLY_NUMBERS = (
    "declare how they are read under [intake] in site.toml (`consilium site intake` proposes it), or write numbers "
    f"alone, with a decimal point and without separators of thousands, and {LEAVE_EMPTY}"
)


def emptied(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """Make cells missing whose text stands for an empty one, and trim the others."""
    return cells.astype(object).map(_emptied)


def _emptied(cell: object) -> object:
    if not isinstance(cell, str):
        return "date" if isinstance(cell, pd.Timestamp | pd.Timedelta) else cell
    text = plain(cell)
    return None if text in MISSING else text


def no_numbers(cells: "pd.Series[Any]") -> tuple[str, str]:
    """Tell what is wrong with cells that are no numbers, by counts, and what to do."""
    forms = Counter(form for cell in cells if (form := _form(cell)))
    what = "has cells that are not numbers"
    if not forms:
        return what, NAME_MISSING
    remedy = NAME_MISSING if list(forms) == ["a word for unknown"] else ONLY_NUMBERS
    counts = ", ".join(f"{counted(count, 'cell')} with {form}" for form, count in forms.most_common())
    return f"{what}: {counts}", remedy


def _form(cell: object) -> str:
    """Words for a text that a person takes for a number, or for none; empty for another."""
    if not isinstance(cell, str):
        return ""
    if cell.casefold() in UNKNOWN:
        return "a word for unknown"
    return next((words for words, form in _FORMS.items() if form.fullmatch(cell)), "")
