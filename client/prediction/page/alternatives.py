"""Answers with one actionable value replaced, as rows of a page."""

from dataclasses import dataclass

from client.prediction.change import ChangedColumn, ChangedValue, Changes
from client.prediction.page.words import answer_about, in_a_hundred, minus, spoken

SHOWN = 5
"""Columns on a page; JSON has all of them."""


@dataclass(frozen=True)
class Alternative:
    """Answers with the values of one column replaced.

    Attributes:
        name: of the column.
        value: of the patient.
        words: the answers.
    """

    name: str
    value: str
    words: str


@dataclass(frozen=True)
class Alternatives:
    """Answers for one number with one value replaced at a time.

    Attributes:
        title: the number.
        now: the answer with the patient's values.
        rows: by column.
    """

    title: str
    now: str
    rows: tuple[Alternative, ...]


def alternatives_of(changes: Changes) -> Alternatives:
    """Write changes as rows in words."""
    return Alternatives(
        title=answer_about(changes.task, changes.outcome, changes.horizon, changes.unit),
        now=_said(changes, changes.number),
        rows=tuple(
            Alternative(
                spoken(column.column),
                minus(f"{column.value} {column.unit}".strip()) if column.value else "",
                _levels(changes, column) if column.levels else _range(changes, column),
            )
            for column in changes.columns[:SHOWN]
        ),
    )


def _levels(changes: Changes, column: ChangedColumn) -> str:
    return "; ".join(_answer(changes, column, level) for level in column.values)


def _range(changes: Changes, column: ChangedColumn) -> str:
    ends = " and ".join(_answer(changes, column, end) for end in (column.values[0], column.values[-1]))
    if not changes.is_risk:
        return ends
    if column.nearest is None:
        return f"{ends}; no plausible value lowers it by a tenth"
    return f"{ends}; the nearest value that lowers it by a tenth gives {_answer(changes, column, column.nearest)}"


def _answer(changes: Changes, column: ChangedColumn, changed: ChangedValue) -> str:
    return f"{_said(changes, changed.number)} at {minus(f'{changed.value} {column.unit}'.rstrip())}"


def _said(changes: Changes, number: float) -> str:
    if changes.horizon is None and not changes.outcome:
        return minus(f"{number:.4g} {changes.unit}".rstrip())
    return in_a_hundred(number)
