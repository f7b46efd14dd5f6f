"""Chart of points with intervals, a row per name: hospitals, arms, columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.pages.charts.axes import AxisMark, ChartAxis, draw_across, draw_marks, heading, scaled
from common.pages.charts.legend import draw_legend
from common.pages.charts.shapes import GREY, RULE, WIDTH, chart, fitted, line, mark, text
from common.pages.colours import tone
from common.pages.figure import Chart

_NAME, _POINT = 16.0, 15.0


@dataclass(frozen=True)
class IntervalPoint:
    """Point of a row, with its interval.

    Attributes:
        series: number of its series, which gives tone and mark.
        value: position; None for a point without a figure.
        low: lower end of the interval; None without one.
        high: upper end of the interval; None without one.
        words: figure as it is written at the end of the row, or why there is none.
    """

    series: int
    value: float | None
    low: float | None = None
    high: float | None = None
    words: str = ""


@dataclass(frozen=True)
class IntervalRow:
    """Name with its points, one below another.

    Attributes:
        name: written above the points, in full width.
        points: at most one per series.
    """

    name: str
    points: Sequence[IntervalPoint]


def interval_chart(
    title: str,
    finding: str,
    rows: Sequence[IntervalRow],
    across: ChartAxis,
    *,
    series: Sequence[str] = (),
    marks: Sequence[AxisMark] = (),
) -> Chart:
    """Draw points with their intervals.

    Args:
        title: heading of the chart.
        finding: sentence with the figures that the chart shows, for readers who do not see it.
        rows: names with their points.
        across: axis at the bottom.
        series: names of the series, for the legend; empty without one.
        marks: values of the axis that are marked, such as no difference.
    """
    parts, top = heading(title)
    points = [point for row in rows for point in row.points]
    longest = max((6.4 * len(point.words) for point in points), default=0.0)
    end = WIDTH - min(longest + 14, 0.5 * WIDTH)
    values = [end for point in points for end in (point.value, point.low, point.high) if end is not None]
    scale = scaled(across, [*values, *(mark.at for mark in marks)], 8, end)
    field = top + 14 * len(marks)
    foot = field + sum(_NAME + _POINT * len(row.points) + 4 for row in rows)
    below, height = draw_across(scale, foot)
    parts += [*below, *draw_marks(marks, scale, top, foot)]
    y = field
    for row in rows:
        parts.append(line(0, y, WIDTH, y, colour=RULE, width=0.7))
        parts.append(text(0, y + 13, fitted(row.name, WIDTH)))
        y += _NAME
        for point in row.points:
            middle = y + _POINT / 2
            colour = GREY if point.value is None else "var(--ink)"
            parts.append(text(end + 12, middle + 4, fitted(point.words, WIDTH - end - 8), colour=colour))
            if point.low is not None and point.high is not None:
                low, high = scale.at(point.low), scale.at(point.high)
                parts.append(line(low, middle, high, middle, colour=tone(point.series), width=2))
            if point.value is not None:
                parts.append(mark(scale.at(point.value), middle, point.series, 4.2))
            y += _POINT
        y += 4
    if series:
        key, height = draw_legend(list(enumerate(series)), height, lines=False, marked=range(len(series)))
        parts += key
    return chart(parts, height + 4, title, finding)
