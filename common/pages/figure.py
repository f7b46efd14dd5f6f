"""Figures of a page: charts over a caption, with their findings for those who do not see."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from common.pages.parts import joined, slug


@dataclass(frozen=True)
class Chart:
    """Chart as inline SVG.

    Attributes:
        svg: the drawing, with its title and finding within.
        title: of the chart, and the name of its file.
    """

    svg: Markup
    title: str


def titled(svg: str, title: str, finding: str) -> Markup:
    """Give a drawing its title and its finding, which browsers read out.

    Args:
        svg: a whole element `<svg ...>...</svg>`, written by us and escaped; an earlier label of it is dropped.
        title: name of the drawing.
        finding: sentence on what the drawing shows, with its figures.
    """
    opening, rest = svg[: svg.index(">")], svg[svg.index(">") + 1 :]
    opening = re.sub(r'\s(role|aria-label)="[^"]*"', "", opening)
    label = Markup(' role="img" aria-label="{}. {}">').format(title.rstrip("."), finding)
    named = Markup("<title>{}</title><desc>{}</desc>").format(title, finding)
    return Markup(opening) + label + named + Markup(rest)


def figure(charts: Sequence[Chart], caption: str | Markup) -> Markup:
    """Write charts, side by side where there is room, over one caption.

    A caption names charts by their titles and series by their names: on a phone nothing has a side.
    """
    held = joined(
        Markup('<div class="chart" data-chart="{}">{}</div>').format(slug(chart.title), chart.svg)
        for chart in charts
    )
    return Markup('<figure><div class="charts">{}</div><figcaption>{}</figcaption></figure>').format(
        held, caption
    )
