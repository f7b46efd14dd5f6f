"""Chart of horizontal bars, one per name, with its figure written beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.pages.charts.axes import AxisMark, ChartAxis, at_zero, draw_across, draw_marks, heading, scaled
from common.pages.charts.shapes import GREY, WIDTH, box, chart, fitted, line, text, width_of
from common.pages.colours import tone
from common.pages.figure import Chart

_ROW = 34.0


@dataclass(frozen=True)
class ChartBar:
    """Bar of a chart.

    Attributes:
        name: written above the bar, in full width.
        value: end of the bar; None for a bar without a figure.
        words: figure as it is written, or why there is none.
        number: tone of the bar.
    """

    name: str
    value: float | None
    words: str
    number: int = 0


def bar_chart(
    title: str,
    finding: str,
    bars: Sequence[ChartBar],
    across: ChartAxis,
    *,
    base: float = 0.0,
    marks: Sequence[AxisMark] = (),
) -> Chart:
    """Draw bars from a base, which is 0 or such as chance.

    Args:
        title: heading of the chart.
        finding: sentence with the figures that the chart shows, for readers who do not see it.
        bars: the bars.
        across: axis at the bottom.
        base: value at which bars begin.
        marks: values of the axis that are marked.
    """
    parts, top = heading(title)
    top += 14 * len(marks) + 3
    foot = top + _ROW * len(bars) + 2
    longest = max((width_of(bar.words) for bar in bars), default=0.0)
    end = WIDTH - min(longest + 8, 0.45 * WIDTH)
    values = [bar.value for bar in bars if bar.value is not None]
    axis = at_zero(across) if base == 0 and min(values, default=0.0) >= 0 else across
    scale = scaled(axis, [*values, base, *(mark.at for mark in marks)], 4, end)
    below, height = draw_across(scale, foot)
    parts += [*below, line(scale.at(base), top, scale.at(base), foot, colour="var(--ink)")]
    parts += draw_marks(marks, scale, top - 14 * len(marks) - 3, foot)
    for row, bar in enumerate(bars):
        y = top + _ROW * row
        parts.append(text(0, y + 11, fitted(bar.name, WIDTH)))
        start, stop = scale.at(base), scale.at(base if bar.value is None else bar.value)
        parts.append(box(min(start, stop), y + 15, abs(stop - start), 12, tone(bar.number)))
        colour = GREY if bar.value is None else "var(--ink)"
        parts.append(text(max(start, stop) + 5, y + 25, fitted(bar.words, WIDTH - stop - 5), colour=colour))
    return chart(parts, height + 4, title, finding)
