"""A profile as one self-contained page, with a histogram of every column."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from client.profile.columns import short
from client.profile.figures import CohortProfile, LevelProfile, NumberProfile
from client.profile.text import LOCAL
from common.counting import counted
from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.histogram import ChartRange, histogram
from common.pages.document import PageSection, document
from common.pages.figure import Chart, figure
from common.pages.parts import bullets, note, paragraph
from common.pages.table import PageTable, TableCell, table

NAME = "profile.html"
"""File of the page in the folder of profiles."""

MOST_CHARTS = 60
"""Columns of a table with a histogram; of a larger one the doubtful alone."""


def profile_page(profile: CohortProfile) -> str:
    """Write the page of a profile."""
    sections = [PageSection("Units to check", [*_doubts(profile)])]
    for part in profile.tables:
        if part.file is None:
            sections.append(PageSection(part.label, [paragraph("This hospital has no such table.")]))
            continue
        content: list[str | Markup] = [paragraph(f"{counted(part.patients, 'patient')} in {part.file}.")]
        content += _numbers(part.label, part.numbers)
        content += [_levels(part.categories, f"Patients by level in {part.label}")] if part.categories else []
        sections.append(PageSection(part.label, content))
    for task in profile.follow_up:
        of_all = task.times.model_copy(update={"label": "follow-up of all"})
        of_events = task.of_events.model_copy(update={"label": "times of events"})
        patients = counted(task.times.patients, "patient")
        content = [paragraph(f"{patients} with follow-up, {counted(task.events, 'event')}.")]
        sections.append(PageSection(task.label, [*content, *_numbers(task.label, (of_all, of_events))]))
    outcomes: list[str | Markup] = []
    if profile.outcomes:
        outcomes += _numbers("outcomes", profile.outcomes)
    if profile.labels:
        outcomes.append(_levels(profile.labels, "Patients by label"))
    sections += [PageSection("Outcomes", outcomes)] if outcomes else []
    approved = "approved" if profile.approved else "not approved here"
    lead = [
        note(f"{LOCAL} It shows values of few patients.", "danger"),
        paragraph(
            f"{counted(profile.patients, 'patient')} beside the ranges of the federation {profile.federation} "
            f"({profile.digest[:10]}, {approved})."
        ),
    ]
    return document(
        f"Profile of {profile.site}", sections, kind="Consilium, for this hospital alone", lead=lead
    )


def page_path(folder: Path) -> Path:
    """Path of the page in a site folder."""
    return folder / "profile" / NAME


def _doubts(profile: CohortProfile) -> Iterator[str | Markup]:
    if profile.problems:
        yield note("The tables do not satisfy the federation file:", "danger", "Problems.")
        yield bullets(profile.problems)
    for doubt in profile.doubts:
        yield note(doubt, "warning", "Check the unit:")
    if not profile.doubts:
        yield paragraph("No median is far from the typical range of its column.")
    if profile.warnings:
        yield bullets(profile.warnings)


def _numbers(title: str, columns: Sequence[NumberProfile]) -> list[Markup]:
    """Table of the figures, and histograms."""
    if not columns:
        return []
    doubtful = {number: "warning" for number, column in enumerate(columns) if column.doubt}
    parts = [
        table(
            PageTable(
                heads=(
                    *("Column", "Patients", "Missing", "Median", "Typical", "Lower quartile"),
                    *(
                        "Upper quartile",
                        "Lowest",
                        "Highest",
                        "Far out",
                        "Outside plausible",
                        "Plausible",
                        "Unit",
                    ),
                ),
                rows=[_row(column) for column in columns],
                caption=f"Numbers in {title}; far out is more than three quartile ranges beyond a quartile",
                name=f"profile-{title}",
                words=frozenset((0, 12)),
                warned=dict.fromkeys(doubtful, "warning"),
            )
        )
    ]
    drawn = [column for column in columns if column.bins is not None]
    if len(drawn) > MOST_CHARTS:
        drawn = [column for column in drawn if column.doubt or column.outside][:MOST_CHARTS]
    if drawn:
        caption = (
            "Patients by value, with the median and, where the federation file has one, the typical range."
        )
        parts.append(figure([_chart(column) for column in drawn], caption))
    return parts


def _row(column: NumberProfile) -> list[str | TableCell | None]:
    share = column.missing / (column.patients + column.missing) if column.patients + column.missing else 0.0
    low, high = (("any" if end is None else short(end)) for end in column.plausible)
    typical = None if column.typical is None else f"{short(column.typical[0])} to {short(column.typical[1])}"
    return [
        column.label,
        f"{column.patients:,}",
        TableCell(f"{share:.0%}", share),
        _value(column.median),
        typical,
        *map(_value, (column.low, column.high, column.lowest, column.highest)),
        f"{column.outliers:,}",
        f"{column.outside:,}",
        None if column.plausible == (None, None) else f"{low} to {high}",
        column.unit or None,
    ]


def _value(value: float | None) -> TableCell | None:
    return None if value is None else TableCell(short(value), value)


def _chart(column: NumberProfile) -> Chart:
    assert column.bins is not None
    assert column.median is not None
    unit = f" {column.unit}" if column.unit else ""
    ranges = []
    finding = f"{counted(column.patients, 'patient')}, median {short(column.median)}{unit}"
    if column.typical is not None:
        low, high = column.typical
        ranges.append(ChartRange(low, high, f"typical {short(low)} to {short(high)}"))
        finding += f"; typical is {short(low)} to {short(high)}{unit}"
    return histogram(
        column.label,
        finding,
        column.bins.edges,
        column.bins.counts,
        ChartAxis(column.unit or "value"),
        ChartAxis("patients"),
        ranges=ranges,
        marks=[AxisMark(column.median, f"median {short(column.median)}")],
    )


def _levels(columns: Sequence[LevelProfile], caption: str) -> Markup:
    rows: list[list[str | TableCell | None]] = []
    for column in columns:
        patients = sum(column.levels.values()) + column.missing
        for level, count in (*column.levels.items(), ("missing", column.missing)):
            share = count / patients if patients else 0.0
            rows.append([column.label, level, f"{count:,}", TableCell(f"{share:.0%}", share)])
    return table(
        PageTable(
            heads=("Column", "Level", "Patients", "Share"),
            rows=rows,
            caption=caption,
            words=frozenset((0, 1)),
        )
    )
