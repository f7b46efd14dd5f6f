"""Legend below a chart, in as many rows as the names need."""

from collections.abc import Collection, Sequence

from markupsafe import Markup

from common.pages.charts.shapes import DASHES, WIDTH, fitted, line, mark, text, width_of
from common.pages.colours import tone

_SAMPLE, _GAP, _ROW = 24.0, 14.0, 17.0


def draw_legend(
    names: Sequence[tuple[int, str]], top: float, *, lines: bool, marked: Collection[int]
) -> tuple[list[Markup], float]:
    """Draw samples with names, and give the height below them.

    Args:
        names: number of a series, which gives tone, dashes and mark, and its name.
        top: height at which the legend begins.
        lines: whether samples have a line.
        marked: numbers of the series whose sample has the mark of a point.
    """
    parts: list[Markup] = []
    x, y = 0.0, top + 11
    for number, name in names:
        words = fitted(name, WIDTH - _SAMPLE - 8)
        if x > 0 and x + _SAMPLE + 6 + width_of(words) > WIDTH:
            x, y = 0.0, y + _ROW
        if lines:
            dashes = DASHES[number % len(DASHES)]
            parts.append(line(x, y - 4, x + _SAMPLE, y - 4, colour=tone(number), width=2, dashes=dashes))
        if number in marked:
            parts.append(mark(x + _SAMPLE / 2, y - 4, number))
        parts.append(text(x + _SAMPLE + 5, y, words))
        x += _SAMPLE + 5 + width_of(words) + _GAP
    return parts, y + 6 if names else top
