"""Identifiers of patients in a table, and why they are not those of another one.

A problem counts rows and names the difference in spelling; no identifier is in it.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd

from client.tables.checked import CellsError, Checked
from client.tables.spelling import MISSING, as_text, loose
from common.counting import counted
from common.errors import InputError, InvalidContentError

FEW = 0.05
"""Share of a table's rows that may have no patient in the outcomes and are left out with a word."""

_TOTALS = frozenset(
    {"total", "totals", "grandtotal", "sum", "summe", "gesamt", "mean", "average", "mittelwert"}
)
"""First cells of rows that sum up the others, by their letters."""


def read_identifiers(path: Path, column: str, cells: "pd.Series[Any]") -> Checked[pd.Index]:
    """Read the identifiers of a table's rows, which must be there and different.

    The index of `cells` has the rows' numbers.
    """
    where = f"{path}, column {column}"
    patients = pd.Index(cells.astype(object).where(cells.notna(), "").map(as_text))
    is_empty = patients.isin(MISSING)
    empty = int(is_empty.sum())
    is_total = np.array([loose(str(patient)) in _TOTALS for patient in patients], dtype=bool)
    totals = int(is_total.sum())
    problems: list[InputError] = []
    if empty:
        what = f"{counted(empty, 'row is', 'rows are')} without a patient"
        problems.append(CellsError(where, what, "complete or drop them", cells.index[is_empty]))
    if totals:
        what = f"{counted(totals, 'row is', 'rows are')} a total of others"
        problems.append(CellsError(where, what, "drop them", cells.index[is_total]))
    if repeated := int(patients[~patients.isin(MISSING)].duplicated().sum()):
        what = f"{counted(repeated, 'row repeats', 'rows repeat')} a patient"
        of_several = patients.duplicated(keep=False) & ~is_empty
        problems.append(
            CellsError(
                where,
                what,
                "keep one row per patient, or declare which by rows under [intake] in site.toml",
                cells.index[of_several],
            )
        )
    return Checked(patients, tuple(problems))


def match_problem(
    path: Path, column: str, rows: pd.Index, patients: pd.Index, other: str
) -> InputError | None:
    """Tell of a table's rows whose patients another table lacks, if it is no matter of a few.

    A single one is told if the other table has the patient in another spelling.

    Args:
        path: the table's file.
        column: its column of identifiers.
        rows: its identifiers.
        patients: those of the other table.
        other: name of the other table.
    """
    strangers = rows[~rows.isin(patients)]
    if strangers.empty:
        return None
    spelling, alike = _another_spelling(strangers, patients[~patients.isin(rows)])
    if not alike and len(strangers) <= FEW * len(rows):
        return None
    what = f"{len(strangers):,} of {counted(len(rows), 'row')} have a patient who is not in the {other} table"
    if len(strangers) == len(rows):
        what = f"none of its patients is in the {other} table"
    remedy = (
        f"use the same identifiers in both, or drop the rows of patients who are not in the {other} table"
    )
    if alike:
        what += f", {alike:,} of them for {spelling} alone"
        remedy = (
            "use the same identifiers in both, to the letter, or declare [intake.identifiers] in site.toml"
        )
    return InvalidContentError(f"{path}, column {column}", what, remedy)


def spelling_problem(
    path: Path, column: str, rows: pd.Index, patients: pd.Index, other: str
) -> InputError | None:
    """Tell of a table's rows whose patients another table seems to have in another spelling.

    Both may lack patients of the other. Arguments are those of `match_problem`.
    """
    spelling, alike = _another_spelling(rows[~rows.isin(patients)], patients[~patients.isin(rows)])
    if not alike:
        return None
    what = f"{alike:,} of {counted(len(rows), 'row')} differ from a patient of the {other} table for {spelling} alone"
    remedy = "use the same identifiers in both, to the letter"
    return InvalidContentError(f"{path}, column {column}", what, remedy)


def blanks_problem(path: Path, column: str, rows: pd.Index) -> InputError | None:
    """Tell of rows that differ from another row of the same table by blanks alone.

    They are different identifiers as they are read, and one patient as somebody wrote them.

    Args:
        path: the table's file.
        column: its column of identifiers.
        rows: its identifiers, each once.
    """
    alike = int(rows.map(lambda patient: re.sub(r"\s", "", patient)).duplicated().sum())
    if not alike:
        return None
    what = f"{counted(alike, 'row differs', 'rows differ')} from another one by a blank alone"
    remedy = (
        "keep one row per patient, or write the identifiers of two patients such that more tells them apart"
    )
    return InvalidContentError(f"{path}, column {column}", what, remedy)


def _another_spelling(strangers: Iterable[str], patients: pd.Index) -> tuple[str, int]:
    """Find the difference in spelling that explains the most strangers, and count these."""
    best, most = "", 0
    for name, spelled in _SPELLINGS.items():
        spellings = set(map(spelled, patients))
        alike = sum(spelled(patient) in spellings for patient in strangers)
        if alike > most:
            best, most = name, alike
    spellings = set(patients)
    longer = sum(any(start in spellings for start in _starts(patient)) for patient in strangers)
    shorter = len({start for patient in patients for start in _starts(patient)} & set(strangers))
    if max(longer, shorter) > most:
        best, most = "a part at the end, as of a sample,", max(longer, shorter)
    return best, most


def _without_zeros(text: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "capital letters": str.casefold,
    "leading zeros": _without_zeros,
    "blanks and punctuation": lambda text: re.sub(r"[\W_]", "", text),
    "capitals, zeros and punctuation": lambda text: loose(_without_zeros(normalize("NFKC", text))),
}
"""Ways of writing that are taken for the same identifier in a message, though never in a table."""


def _starts(text: str) -> Iterable[str]:
    """Beginnings of an identifier up to each hyphen, point or underscore in it."""
    return (text[: sign.start()] for sign in re.finditer(r"[-._/ ]", text))
