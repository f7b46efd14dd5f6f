"""Elements of charts as SVG: texts, lines, areas and marks of points."""

from collections.abc import Sequence

from markupsafe import Markup

from common.pages.colours import tone
from common.pages.figure import Chart, titled

WIDTH = 360
"""Width of a chart in its own units: at the width of a phone a unit is about a pixel."""
SIZE = 11.5
"""Size of texts; 9 pixels are left where a chart is 282 pixels wide."""
INK, GREY, RULE = "var(--ink)", "var(--grey)", "var(--rule)"

DASHES = ("", "6 3", "1.5 2.5", "8 3 2 3", "3 3", "10 3")
"""Dashes of lines by number, so that lines differ in grey too."""
MARKS = 4
"""Shapes of points: circle, square, triangle, diamond."""
_GLYPH = 0.56
"""Width of a letter by the size of its text, on average."""


def text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    *,
    colour: str = INK,
    bold: bool = False,
    size: float = SIZE,
) -> Markup:
    """Write a text with a halo of paper; `anchor` is start, middle or end."""
    weight = Markup(' font-weight="600"') if bold else Markup("")
    halo = Markup(' stroke="var(--paper)" stroke-width="3" stroke-linejoin="round" paint-order="stroke"')
    element = '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}" font-size="{:g}"{}{}>{}</text>'
    return Markup(element).format(x, y, anchor, colour, size, weight, halo, words)


def line(
    x: float,
    y: float,
    right: float,
    bottom: float,
    *,
    colour: str = GREY,
    width: float = 1.0,
    dashes: str = "",
) -> Markup:
    """Draw a line from one point to another."""
    dashed = Markup(' stroke-dasharray="{}"').format(dashes) if dashes else Markup("")
    element = '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{:g}"{}/>'
    return Markup(element).format(x, y, right, bottom, colour, width, dashed)


def path(
    points: Sequence[tuple[float, float]], colour: str, *, width: float = 2.0, dashes: str = ""
) -> Markup:
    """Draw a line through points."""
    dashed = Markup(' stroke-dasharray="{}"').format(dashes) if dashes else Markup("")
    element = '<path d="{}" fill="none" stroke="{}" stroke-width="{:g}" stroke-linejoin="round"{}/>'
    return Markup(element).format(_through(points), colour, width, dashed)


def area(points: Sequence[tuple[float, float]], colour: str, opacity: float = 0.18) -> Markup:
    """Fill the area within points."""
    element = '<path d="{}Z" fill="{}" fill-opacity="{:g}"/>'
    return Markup(element).format(_through(points), colour, opacity)


def box(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1.0) -> Markup:
    """Fill a rectangle."""
    element = '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" fill-opacity="{:g}"/>'
    return Markup(element).format(x, y, max(width, 0.0), max(height, 0.0), colour, opacity)


def mark(x: float, y: float, number: int, size: float = 3.4) -> Markup:
    """Draw the point of a series in its tone and shape."""
    shapes = (
        '<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{c}"/>',
        '<path d="M{left:.1f} {top:.1f}h{d:.1f}v{d:.1f}h-{d:.1f}Z" fill="{c}"/>',
        '<path d="M{x:.1f} {top:.1f}L{right:.1f} {foot:.1f}L{left:.1f} {foot:.1f}Z" fill="{c}"/>',
        '<path d="M{x:.1f} {over:.1f}L{far:.1f} {y:.1f}L{x:.1f} {under:.1f}L{near:.1f} {y:.1f}Z" fill="{c}"/>',
    )
    wide = 1.3 * size
    return Markup(shapes[number % MARKS]).format(
        **{"x": x, "y": y, "r": size, "d": 2 * size, "c": tone(number), "left": x - size, "right": x + size},
        **{"top": y - size, "foot": y + size, "over": y - wide, "under": y + wide},
        **{"near": x - wide, "far": x + wide},
    )


def width_of(words: str, size: float = SIZE) -> float:
    """Estimate the width of a text."""
    return _GLYPH * size * len(words)


def fitted(words: str, width: float, size: float = SIZE) -> str:
    """Shorten a text by its middle to a width: campuses of one hospital differ at the end."""
    most = max(int(width / (_GLYPH * size)), 5)
    if len(words) <= most:
        return words
    end = (most - 1) // 2
    return f"{words[: most - 1 - end].rstrip()}…{words[-end:].lstrip()}"


def folded_lines(words: str, width: float, size: float = SIZE) -> list[str]:
    """Fold a text into lines of a width, between words."""
    lines: list[str] = []
    for word in words.split():
        if lines and width_of(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(fitted(word, width, size))
    return lines


def chart(parts: Sequence[Markup], height: float, title: str, finding: str) -> Chart:
    """Put elements together to a chart of a height."""
    opening = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" font-size="{SIZE}">'
    return Chart(titled(f"{opening}{Markup('').join(parts)}</svg>", title, finding), title)


def _through(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
