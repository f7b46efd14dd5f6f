"""One row of each patient, chosen by a declared rule."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from client.intake.changes import Notes
from client.intake.days import days_in
from client.rules.declaration import RowRules
from client.tables.spelling import MISSING, plain
from common.counting import counted


def one_row_each(
    frame: pd.DataFrame,
    identifiers: "pd.Series[Any]",
    rules: RowRules,
    formats: Sequence[str],
    missing: Sequence[str],
    where: str,
    notes: Notes,
) -> "pd.Index[Any]":
    """Return the numbers of the rows that are kept, in the order of the file.

    Rows without a patient are kept, and so are second rows that no rule decides: whoever reads the identifiers tells of
    both.

    Args:
        frame: columns that are read, whose index has the rows' numbers.
        identifiers: of the rows, in the spelling that counts.
        rules: declared rules.
        formats: of dates.
        missing: texts for an empty cell.
        where: the file, for problems.
        notes: receives counts.
    """
    later = later_rows(frame, rules, formats, missing, where, notes)
    kept = ~later
    order: pd.Series[Any] | None = None
    if rules.by is not None and rules.keep != "refuse":
        order = _order(
            frame[rules.by],
            formats,
            missing,
            f"{where}, column {rules.by}",
            Notes() if rules.before else notes,
        )
    if rules.identical:
        cells = frame.assign(**{"\0patient": identifiers}).map(_comparable)
        repeats = cells.duplicated() & identifiers.notna() & kept
        notes.changed("rows.identical", "", int(repeats.sum()), "row")
        kept &= ~repeats
    if rules.keep != "refuse":
        kept &= ~_others(frame, identifiers, order, rules, kept, where, notes)
    return frame.index[kept]


def _comparable(cell: object) -> object:
    return plain(cell) if isinstance(cell, str) else cell


def _order(
    cells: "pd.Series[Any]",
    formats: Sequence[str],
    missing: Sequence[str],
    where: str,
    notes: Notes,
    days_only: bool = False,
) -> "pd.Series[Any]":
    """Read the order of visits as numbers, or else as days."""
    empty = MISSING | set(map(plain, missing))
    texts = cells.astype(object).map(lambda cell: plain(cell) if isinstance(cell, str) else cell)
    filled = texts.notna() & ~texts.isin(list(empty))
    numbers = pd.to_numeric(texts.where(filled, None), errors="coerce")
    if bool(numbers[filled].notna().all()) and not days_only:
        return numbers
    return days_in(cells, formats, missing, where, notes).map(
        lambda day: None if day is None else day.toordinal()
    )


def later_rows(
    frame: pd.DataFrame,
    rules: RowRules,
    formats: Sequence[str],
    missing: Sequence[str],
    where: str,
    notes: Notes,
) -> "pd.Series[bool]":
    """Whether each row is later than the declared day, or than that in its column."""
    if rules.before is None or rules.by is None:
        return pd.Series(False, index=frame.index)
    order = _order(frame[rules.by], formats, missing, f"{where}, column {rules.by}", notes, days_only=True)
    if (day := rules.day) is not None:
        limits = pd.Series(day.toordinal(), index=frame.index)
    else:
        days = days_in(frame[rules.before], formats, missing, f"{where}, column {rules.before}", notes)
        limits = days.map(lambda day: None if day is None else _ordinal(day))
    later = (order.astype(float) > limits.astype(float)) | order.isna() | limits.isna()
    notes.changed("rows.before", "", int(later.sum()), "row")
    return later


def _ordinal(day: date) -> int:
    return day.toordinal()


def _others(
    frame: pd.DataFrame,
    identifiers: "pd.Series[Any]",
    order: "pd.Series[Any] | None",
    rules: RowRules,
    kept: "pd.Series[bool]",
    where: str,
    notes: Notes,
) -> "pd.Series[Any]":
    """Whether each row is not the kept row of its patient; ties of different rows stay."""
    left_out = pd.Series(False, index=frame.index)
    undecided, unordered = list[int](), list[int]()
    many = identifiers[kept & identifiers.notna()]
    many = many[many.duplicated(keep=False)]
    for _, rows in many.groupby(many, sort=False):
        labels = list(rows.index)
        if order is None:
            best = [labels[0] if rules.keep == "first" else labels[-1]]
        else:
            places = order[labels]
            if bool(places.isna().any()):
                unordered += labels
                continue
            end = places.astype(float).min() if rules.keep == "first" else places.astype(float).max()
            best = [label for label in labels if float(places[label]) == float(end)]
            if len(best) > 1 and len(frame.loc[best].map(_comparable).drop_duplicates()) > 1:
                undecided += best
                left_out[[label for label in labels if label not in best]] = True
                continue
        left_out[[label for label in labels if label != best[0]]] = True
    if undecided:
        what = f"has {counted(len(undecided), 'row')} of one patient and one {rules.by} each that differ"
        notes.undecided(where, what, "delete the wrong ones, or name a column that orders them", undecided)
    if unordered:
        what = f"has {counted(len(unordered), 'row')} of patients with several, of which {rules.by} is empty in one"
        notes.undecided(where, what, f"complete {rules.by}", unordered)
    notes.changed(f"rows.keep = {rules.keep}", "", int(left_out.sum()), "row")
    return left_out
