"""A profile as lines for a terminal of 80 columns."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from client.profile.columns import short
from client.profile.figures import CohortProfile, FollowUpProfile, LevelProfile, NumberProfile, TableProfile
from common.counting import counted

WIDTH = 80
"""Columns of the terminal."""

LOCAL = "This profile is for this hospital alone: do not send it."

_LONGEST = 40
"""Columns of a table that are shown one by one; of a larger table the doubtful alone."""

_NAME = 22


def profile_lines(profile: CohortProfile) -> list[str]:
    """Write a profile: doubts first, then tables, follow-up and labels."""
    approved = "" if profile.approved else ", which is not approved here"
    lines = _folded(
        f"{profile.site}: {counted(profile.patients, 'patient')}, beside the ranges of {profile.federation} "
        f"({profile.digest[:10]}){approved}. {LOCAL}"
    )
    for head, sentences in (
        ("PROBLEM", profile.problems),
        ("WARNING", profile.warnings),
        ("CHECK THE UNIT", profile.doubts),
    ):
        for sentence in sentences:
            lines += _folded(f"{head} {sentence}")
    if not profile.doubts:
        lines += _folded("No median is far from the typical range of its column.")
    for table in profile.tables:
        lines += ["", *_table(table)]
    for task in profile.follow_up:
        lines += ["", *_follow_up(task)]
    if profile.outcomes:
        lines += ["", "Outcomes", *_head(), *_numbers(profile.outcomes)]
    if profile.labels:
        lines += ["", "Labels", *(line for column in profile.labels for line in _levels(column))]
    return lines


def _table(table: TableProfile) -> Iterator[str]:
    if table.file is None:
        yield f"{table.label}: no such table here"
        return
    left_out = f"; left out without outcomes: {table.unmatched:,}" if table.unmatched else ""
    yield from _folded(f"{table.label} ({table.file}): {counted(table.patients, 'patient')}{left_out}")
    shown: Sequence[NumberProfile] = table.numbers
    if len(table.numbers) > _LONGEST:
        shown = [column for column in table.numbers if _stands_out(column)][:_LONGEST]
        cells = sum(column.patients for column in table.numbers)
        missing = sum(column.missing for column in table.numbers)
        share = missing / (cells + missing) if cells + missing else 0.0
        yield from _folded(
            f"{counted(len(table.numbers), 'column')}, {share:.1%} of the cells missing; "
            f"{counted(len(shown), 'column')} to look at"
            + (", the first of them:" if len(shown) == _LONGEST else ":")
        )
    if shown:
        yield from _head()
        yield from _numbers(shown)
    for column in table.categories:
        yield from _levels(column)


def _stands_out(column: NumberProfile) -> bool:
    return bool(column.doubt or column.outside or not column.patients)


def _head() -> list[str]:
    return [f"  {'column':{_NAME}} {'n':>6} {'missing':>7}  {'median (quartiles)':22} {'typical':>15}"]


def _numbers(columns: Sequence[NumberProfile]) -> Iterator[str]:
    for column in columns:
        yield _row(column.label, column)
        yield from _remarks(column)


def _row(name: str, column: NumberProfile) -> str:
    share = column.missing / (column.patients + column.missing) if column.patients + column.missing else 0.0
    if column.median is None or column.low is None or column.high is None:
        middle = "no value"
    else:
        middle = f"{short(column.median)} ({short(column.low)} - {short(column.high)})"
    typical = "" if column.typical is None else f"{short(column.typical[0])} - {short(column.typical[1])}"
    mark = "!" if column.doubt else " "
    return f"{mark} {_fitted(name)} {column.patients:>6,} {share:>7.0%}  {middle:22} {typical:>15}".rstrip()


def _fitted(name: str) -> str:
    return f"{name:{_NAME}}" if len(name) <= _NAME else f"{name[: _NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def _remarks(column: NumberProfile) -> Iterator[str]:
    """Extra line on what lies far out, where anything does."""
    parts = []
    if column.outliers and column.lowest is not None and column.highest is not None:
        ends = f"from {short(column.lowest)} to {short(column.highest)}"
        parts.append(f"{counted(column.outliers, 'value')} far from the rest, {ends} in all")
    if column.outside:
        low, high = (("any" if end is None else short(end)) for end in column.plausible)
        parts.append(f"{counted(column.outside, 'value')} outside the plausible {low} to {high}")
    if parts:
        yield from _folded("; ".join(parts), "    ")


def _levels(column: LevelProfile) -> Iterator[str]:
    patients = sum(column.levels.values())
    parts = [f"{level} {count:,}" for level, count in column.levels.items()]
    missing = f"; missing {column.missing:,}" if column.missing else ""
    yield from _folded(f"{column.label}, {patients:,} patients: {', '.join(parts)}{missing}", "  ")


def _follow_up(task: FollowUpProfile) -> Iterator[str]:
    patients = task.times.patients
    share = f" ({task.events / patients:.0%})" if patients else ""
    unit = task.times.unit
    yield from _folded(
        f"{task.label}: {counted(patients, 'patient')} with follow-up, {counted(task.events, 'event')}{share}, "
        f"in {unit}"
    )
    yield from _head()
    yield _row("follow-up of all", task.times)
    yield from _remarks(task.times)
    yield _row("times of events", task.of_events)
    yield from _remarks(task.of_events)


def _folded(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
