"""Style of the report's figures, and their form as inline SVG.

Colours are those of Okabe & Ito (2008), Color Universal Design, which stay apart under colour blindness.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"


SKY, PURPLE = "#56B4E9", "#CC79A7"


INK, GREY, PALE = "#1A1A1A", "#6E6E6E", "#D9D9D9"


WIDE, HALF = 9.1, 4.4
"""Widths in inches of a figure across the page, and of one beside another."""


_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "consilium",
}


_LONGEST_NAME = 34


@contextmanager
def style() -> Iterator[None]:
    """Apply the style shared by all figures."""
    with mpl.rc_context(_STYLE):
        yield


@dataclass(frozen=True)
class Plot:
    """Figure with a sentence for readers who do not see it."""

    figure: Figure
    description: str

    @property
    def svg(self) -> str:
        """SVG of the figure for a page: no metadata, no addresses, no ids that could clash.

        A figure across the page has the class `across`, by which a phone keeps its text readable and scrolls it.
        """
        text = io.StringIO()
        with style(), warnings.catch_warnings():
            # A name in a script that the layout font lacks is drawn by the reader's own fonts.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.figure.savefig(
                text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
            )
        drawing = text.getvalue()
        drawing = drawing[drawing.index("<svg") :]
        drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
        drawing = re.sub(r' xmlns(:\w+)?="[^"]*"| id="[A-Za-z][A-Za-z.0-9]*_\d+"', "", drawing)
        label = html.escape(self.description)
        across = ' class="across"' if self.figure.get_figwidth() > HALF else ""
        return drawing.replace("<svg", f'<svg{across} role="img" aria-label="{label}"', 1)


def readable(name: str) -> str:
    """Write the name of a task, label or modality as words."""
    return name.replace("_", " ")


def shortened(name: str) -> str:
    """Shorten a name to fit beside a figure by its middle.

    Campuses of one hospital differ at the end.
    """
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 15].rstrip()}…{name[-14:].lstrip()}"
