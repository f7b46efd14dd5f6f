"""Time from one day to another, computed from two columns of dates."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from client.intake.changes import Notes
from client.rules.dates import AmbiguousDateError, day_of
from client.tables.spelling import MISSING, plain
from common.counting import are, counted
from common.units.named import UNITS, unit_named


def days_in(
    cells: "pd.Series[Any]", formats: Sequence[str], missing: Sequence[str], where: str, notes: Notes
) -> "pd.Series[Any]":
    """Read a column of dates; a cell that is none, or two days, is noted and empty.

    Args:
        cells: whose index has the rows' numbers.
        formats: declared formats.
        missing: texts for an empty cell.
        where: file and column, for problems.
        notes: receives what is undecided.
    """
    days: list[date | None] = []
    unread, ambiguous = [], []
    met, other = set[str](), 0
    empty = MISSING | set(map(plain, missing))
    for row, cell in cells.astype(object).items():
        text = plain(cell) if isinstance(cell, str) else cell
        if text is None or pd.isna(text) or text in empty:
            days.append(None)
            continue
        try:
            day = day_of(text, formats)
        except AmbiguousDateError:
            day = None
            ambiguous.append(row)
        else:
            if day is None:
                unread.append(row)
            elif isinstance(text, str) and day_of(text, ()) is None:
                other += 1
                met |= {form for form in formats if form not in met and day_of(text, [form]) is not None}
        days.append(day)
    if formats:
        notes.changed("dates", where.rpartition(", column ")[2], other, unused=len(set(formats) - met))
    declared = f"by the declared formats ({', '.join(formats) if formats else 'YYYY-MM-DD alone'})"
    if unread:
        what = f"has {counted(len(unread), 'cell')} that {are(len(unread))} no date {declared}"
        remedy = "add their format to dates under [intake] in site.toml"
        notes.undecided(where, what, remedy, map(_row, unread))
    if ambiguous:
        what = (
            f"has {counted(len(ambiguous), 'cell')} that {are(len(ambiguous))} two different days {declared}"
        )
        remedy = "declare one order of day and month for the column, or correct the cells"
        notes.undecided(where, what, remedy, map(_row, ambiguous))
    return pd.Series(days, index=cells.index, dtype=object)


def _row(label: object) -> int:
    return int(str(label))


def time_between(
    first: "pd.Series[Any]", last: "pd.Series[Any]", unit: str, where: str, rule: str, name: str, notes: Notes
) -> "pd.Series[Any]":
    """Compute the time from the first day to the last, in a unit of time.

    A month is a twelfth of 365.25 days. A time that would be negative is noted and empty.
    """
    days = UNITS[unit_named(unit) or "days"].factor
    times: list[float | None] = []
    negative = []
    for row, start, end in zip(first.index, first, last, strict=True):
        if start is None or end is None:
            times.append(None)
        elif end < start:
            negative.append(row)
            times.append(None)
        else:
            times.append((end - start).days / days)
    if negative:
        what = f"has {counted(len(negative), 'row')} in which the second day is before the first"
        notes.undecided(where, what, "correct the dates, or empty one of them", map(_row, negative))
    notes.changed(rule, name, sum(time is not None for time in times))
    return pd.Series(times, index=first.index, dtype=object)
