"""Histogram with ranges behind it, such as the plausible one of a column."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.pages.charts.axes import (
    LEFT,
    RIGHT,
    AxisMark,
    ChartAxis,
    at_zero,
    draw_axes,
    draw_marks,
    heading,
    scaled,
)
from common.pages.charts.shapes import GREY, box, chart, fitted, line, text
from common.pages.colours import tone
from common.pages.figure import Chart

_HEIGHT = 110.0


@dataclass(frozen=True)
class ChartRange:
    """Range of values behind a histogram.

    Attributes:
        low: lower end.
        high: upper end.
        words: label above it.
    """

    low: float
    high: float
    words: str


def histogram(
    title: str,
    finding: str,
    edges: Sequence[float],
    counts: Sequence[float],
    across: ChartAxis,
    up: ChartAxis,
    *,
    ranges: Sequence[ChartRange] = (),
    marks: Sequence[AxisMark] = (),
) -> Chart:
    """Draw counts between edges.

    Args:
        title: heading of the chart.
        finding: sentence with the figures that the chart shows, for readers who do not see it.
        edges: of the bins, in order, one more than there are counts.
        counts: by bin; shares do as well.
        across: axis at the bottom.
        up: axis of the counts.
        ranges: such as the plausible range; the axis reaches over them.
        marks: values that are marked, such as the median.

    Raises:
        ValueError: if there is not one edge more than counts.
    """
    if len(edges) != len(counts) + 1:
        raise ValueError(f"The histogram {title!r} has {len(counts)} counts and {len(edges)} edges.")
    parts, top = heading(title)
    top += 16 if up.label else 0
    rows = len(ranges) + len(marks)
    field = top + 14 * rows
    foot = field + _HEIGHT
    ends = [end for shown in ranges for end in (shown.low, shown.high)]
    horizontal = scaled(across, [*edges, *ends, *(mark.at for mark in marks)], LEFT, RIGHT)
    vertical = scaled(at_zero(up), counts, foot, field)
    axes, below = draw_axes(horizontal, vertical)
    for row, shown in enumerate(ranges):
        low, high = horizontal.at(shown.low), horizontal.at(shown.high)
        y = top + 14 * row
        parts += [
            box(low, y, high - low, foot - y, tone(2), 0.12),
            line(low, y, low, foot, colour=tone(2), dashes="3 2"),
            line(high, y, high, foot, colour=tone(2), dashes="3 2"),
        ]
        words = fitted(shown.words, RIGHT - LEFT)
        anchor, at = ("start", low + 4) if low < (LEFT + RIGHT) / 2 else ("end", high - 4)
        parts.append(text(at, y + 10, words, anchor, colour=GREY))
    parts += axes
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        start, stop = horizontal.at(left), horizontal.at(right)
        parts.append(
            box(start + 0.4, vertical.at(count), stop - start - 0.8, foot - vertical.at(count), tone(0))
        )
    parts += draw_marks(marks, horizontal, top + 14 * len(ranges), foot)
    return chart(parts, below + 4, title, finding)
