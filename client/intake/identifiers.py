"""Identifiers of patients, brought to a single spelling by declared rules."""

import re
from typing import Any

import pandas as pd

from client.intake.changes import Notes
from client.rules.declaration import IdentifierRules
from client.tables.spelling import as_text
from common.counting import counted

_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


def normalised(
    cells: "pd.Series[Any]", rules: IdentifierRules, where: str, name: str, notes: Notes
) -> "pd.Series[Any]":
    """Spell identifiers by the rules.

    Blanks at the ends and beside others, invisible signs, and the point of a whole number never count; how many cells
    that changed is noted as well.

    Args:
        cells: identifiers, whose index has the rows' numbers; None where empty.
        rules: declared rules.
        where: file and column, for problems.
        name: the hospital's column.
        notes: receives counts.
    """
    read = cells.map(lambda cell: None if cell is None or pd.isna(cell) else as_text(cell))
    trimmed = sum(isinstance(cell, str) and cell != text for cell, text in zip(cells, read, strict=True))
    if trimmed:
        notes.changed("blanks at the ends of identifiers, always", name, trimmed)
    spelled = read
    if rules.blanks == "remove":
        spelled = _step(spelled, lambda text: re.sub(r"\s", "", text), "identifiers.blanks", name, notes)
    if rules.case is not None:
        change = str.upper if rules.case == "upper" else str.lower
        spelled = _step(spelled, change, "identifiers.case", name, notes)
    if rules.zeros == "strip":
        spelled = _step(spelled, lambda text: _ZEROS.sub("", text), "identifiers.zeros", name, notes)
    if (width := rules.width) is not None:
        long = spelled.map(lambda text: text is not None and text.isdigit() and len(text) > width).astype(
            bool
        )
        if long.any():
            what = f"has {counted(int(long.sum()), 'identifier')} of more than the declared {width} digits"
            remedy = "correct width under [intake.identifiers] in site.toml"
            notes.undecided(where, what, remedy, map(int, spelled.index[long]))
        change_width = lambda text: text.zfill(width) if text.isdigit() else text  # noqa: E731
        spelled = _step(spelled, change_width, "identifiers.width", name, notes)
    merged = _merged(read, spelled)
    if merged:
        notes.changed("identifiers, spellings of one patient that became one", name, merged, "row")
    return spelled


def _step(cells: "pd.Series[Any]", change: Any, rule: str, name: str, notes: Notes) -> "pd.Series[Any]":
    after = cells.map(lambda text: text if text is None else change(text))
    notes.changed(rule, name, sum(old != new for old, new in zip(cells, after, strict=True)))
    return after


def _merged(read: "pd.Series[Any]", spelled: "pd.Series[Any]") -> int:
    """Count rows whose patient has another spelling elsewhere in the table."""
    spellings: dict[str, set[str]] = {}
    for written, patient in zip(read, spelled, strict=True):
        if patient is not None:
            spellings.setdefault(patient, set()).add(written)
    return sum(patient is not None and len(spellings[patient]) > 1 for patient in spelled)
