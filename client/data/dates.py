"""Dates of patients, by which later ones are chosen; they stay in this process."""

from datetime import date
from pathlib import Path

import numpy as np

from client.data.tables import read_table
from client.site_folder.site_file import SITE_FILE, SiteFile
from client.tables.header import Wanted
from client.tables.spelling import as_text
from common.agreement.federation import OUTCOMES
from common.errors import InvalidContentError
from common.evaluation.predictions import Mask

_LENGTH = len("2024-01-31")


def is_since(folder: Path, site: SiteFile, day: date) -> Mask:
    """Return whether a patient's date [P] is this day or a later one; an empty date is neither.

    Patients are in the order of the table of outcomes, as in a cohort.

    Args:
        folder: in which the site file's tables are.
        site: names the column.
        day: first day that counts.

    Raises:
        InputError: if no column is named, it is missing, or a cell is no date.
    """
    if site.date is None:
        what, remedy = "names no column of dates", f'add date = "COLUMN" of the {OUTCOMES} table'
        raise InvalidContentError(str(folder / SITE_FILE), what, remedy)
    path = folder / site.tables[OUTCOMES]
    read = read_table(path, Wanted(OUTCOMES, site.id, [], texts=(site.date,)))
    if read.value is None or read.problems:
        raise read.problems[0]
    if site.date not in read.value.frame.columns:
        where = f"{path}, column {site.date}"
        raise InvalidContentError(where, "is missing", f"correct date in {SITE_FILE}")
    cells = read.value.frame[site.date]
    later = np.zeros(len(cells), dtype=np.bool_)
    for row, (cell, is_there) in enumerate(zip(cells.astype(object), cells.notna(), strict=True)):
        if is_there:
            later[row] = _date(cell, f"{path}, column {site.date}") >= day
    return later


def _date(cell: object, where: str) -> date:
    try:
        return date.fromisoformat(as_text(cell)[:_LENGTH])
    except ValueError:
        what = "has a cell that is no date"
        raise InvalidContentError(where, what, "write dates as YYYY-MM-DD, or leave them empty") from None
