"""Chart of lines, with bands, steps and marks: curves of training, calibration, survival."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from common.pages.charts.axes import (
    LEFT,
    RIGHT,
    AxisMark,
    AxisScale,
    ChartAxis,
    draw_axes,
    draw_marks,
    heading,
    scaled,
)
from common.pages.charts.legend import draw_legend
from common.pages.charts.shapes import DASHES, GREY, area, chart, line, mark, path, text
from common.pages.colours import tone
from common.pages.figure import Chart

_HEIGHT = 190.0


@dataclass(frozen=True)
class ChartLine:
    """Line of a chart.

    Attributes:
        name: in the legend; a line without a name has no entry.
        points: positions across and up, in their order.
        band: lower and upper end by point; empty without a band.
        stepped: whether the line keeps a value until the next point.
        marked: whether every point has a mark.
        number: tone, dashes and mark; None for the line's place in the chart.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()
    stepped: bool = False
    marked: bool = False
    number: int | None = None


def line_chart(
    title: str,
    finding: str,
    lines: Sequence[ChartLine],
    across: ChartAxis,
    up: ChartAxis,
    *,
    marks: Sequence[AxisMark] = (),
    levels: Sequence[AxisMark] = (),
    diagonal: str = "",
) -> Chart:
    """Draw lines over one axis.

    Args:
        title: heading of the chart.
        finding: sentence with the figures that the chart shows, for readers who do not see it.
        lines: the lines.
        across: axis at the bottom.
        up: upright axis.
        marks: values of the axis at the bottom that are marked, such as the round that was kept.
        levels: values of the upright axis that are marked, such as chance.
        diagonal: label of the line of equal values; empty for none.

    Raises:
        ValueError: if a band has another length than its line.
    """
    for drawn in lines:
        if drawn.band and len(drawn.band) != len(drawn.points):
            raise ValueError(f"The band of the line {drawn.name!r} has another length than the line.")
    parts, top = heading(title)
    top += 16 if up.label else 0
    foot = top + _HEIGHT
    xs = [x for drawn in lines for x, _ in drawn.points]
    horizontal = scaled(across, [*xs, *(mark.at for mark in marks)], LEFT, RIGHT)
    ys = [y for drawn in lines for _, y in drawn.points]
    ends = [end for drawn in lines for pair in drawn.band for end in pair]
    vertical = scaled(up, [*ys, *ends, *(level.at for level in levels)], foot, top)
    drawn_axes, below = draw_axes(horizontal, vertical)
    parts += drawn_axes
    parts += _levels(levels, vertical)
    if diagonal:
        parts += _diagonal(diagonal, horizontal, vertical)
    named, marked = [], set()
    for index, drawn in enumerate(lines):
        number = index if drawn.number is None else drawn.number
        parts += _draw(drawn, number, horizontal, vertical)
        named += [(number, drawn.name)] if drawn.name else []
        marked |= {number} if drawn.marked else set()
    parts += draw_marks(marks, horizontal, top, foot)
    if len(named) > 1 or (named and any(drawn.band for drawn in lines)):
        key, below = draw_legend(named, below, lines=True, marked=marked)
        parts += key
    return chart(parts, below + 4, title, finding)


def _draw(drawn: ChartLine, number: int, across: AxisScale, up: AxisScale) -> list[Markup]:
    points = [(across.at(x), up.at(y)) for x, y in drawn.points]
    parts = []
    if drawn.band:
        xs = [across.at(x) for x, _ in drawn.points]
        lower = _stepped([(x, up.at(low)) for x, (low, _) in zip(xs, drawn.band, strict=True)], drawn.stepped)
        upper = _stepped(
            [(x, up.at(high)) for x, (_, high) in zip(xs, drawn.band, strict=True)], drawn.stepped
        )
        parts.append(area([*upper, *reversed(lower)], tone(number)))
    if len(points) > 1:
        dashes = DASHES[number % len(DASHES)]
        parts.append(path(_stepped(points, drawn.stepped), tone(number), dashes=dashes))
    if drawn.marked or len(points) == 1:
        parts += [mark(x, y, number) for x, y in points]
    return parts


def _stepped(points: Sequence[tuple[float, float]], stepped: bool) -> list[tuple[float, float]]:
    if not stepped:
        return list(points)
    corners = list(points[:1])
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _levels(levels: Sequence[AxisMark], up: AxisScale) -> list[Markup]:
    parts = []
    for level in levels:
        y = up.at(level.at)
        parts += [
            line(LEFT, y, RIGHT, y, width=1.2, dashes="2 3"),
            text(RIGHT, y - 4, level.words, "end", colour=GREY),
        ]
    return parts


def _diagonal(words: str, across: AxisScale, up: AxisScale) -> list[Markup]:
    low, high = max(across.low, up.low), min(across.high, up.high)
    if high <= low:
        return []
    at = low + 0.9 * (high - low)
    return [
        line(across.at(low), up.at(low), across.at(high), up.at(high), dashes="4 3"),
        text(across.at(at) - 6, up.at(at) - 2, words, "end", colour=GREY),
    ]
