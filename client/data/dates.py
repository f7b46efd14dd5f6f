"""Dates of patients, by which later ones are chosen; they stay in this process."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from client.data.tables import read_table
from client.rules.dates import AmbiguousDateError, day_of
from client.site_folder.site_file import SITE_FILE, SiteFile
from client.tables.header import Wanted
from client.tables.spelling import as_text
from common.agreement.federation import OUTCOMES
from common.errors import InvalidContentError
from common.evaluation.predictions import Mask


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
    rules = site.rules_of(OUTCOMES)
    read = read_table(
        path, Wanted(OUTCOMES, site.identifier_of(OUTCOMES), [], texts=(site.date,), rules=rules)
    )
    if read.value is None or read.problems:
        raise read.problems[0]
    if site.date not in read.value.frame.columns:
        where = f"{path}, column {site.date}"
        raise InvalidContentError(where, "is missing", f"correct date in {SITE_FILE}")
    cells = read.value.frame[site.date]
    later = np.zeros(len(cells), dtype=np.bool_)
    for row, (cell, is_there) in enumerate(zip(cells.astype(object), cells.notna(), strict=True)):
        if is_there:
            later[row] = _date(cell, rules.formats, f"{path}, column {site.date}") >= day
    return later


def _date(cell: object, formats: Sequence[str], where: str) -> date:
    try:
        if (read := day_of(as_text(cell), formats)) is not None:
            return read
        what = "has a cell that is no date"
    except AmbiguousDateError:
        what = "has a cell that is two different days by the declared formats"
    remedy = (
        "write dates as YYYY-MM-DD, declare their formats under [intake] in site.toml, or leave them empty"
    )
    raise InvalidContentError(where, what, remedy)
