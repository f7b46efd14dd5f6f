"""Style of the report's figures, and their form as charts of a page.

Colours are the tones of pages, which stay apart under colour blindness.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from common.pages.colours import LIGHT
from common.pages.figure import Chart, titled

BLUE, OCHRE, TEAL, MAGENTA, CHARCOAL, BROWN = (LIGHT[f"tone-{number}"] for number in range(1, 7))


INK, GREY, PALE = LIGHT["ink"], LIGHT["grey"], LIGHT["rule"]


WIDE, WIDTH = 9.1, 5.0
"""Widths in inches of a figure in a file of its own, and of one of a page: a phone has 360 points for it."""


DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (8, 2, 1, 2)), (0, (1, 1)))
"""Dashes of lines by number, so that lines differ in grey too."""


_VARIABLES = {colour: f"var(--{name})" for name, colour in reversed(tuple(LIGHT.items()))}
"""Colour -> variable of the page's theme; of two names the first one."""


SMALL = 9.5
"""Size in points of the smallest texts: 9 pixels are left of it on a phone."""


_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
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
    """Figure with its name and its finding.

    Attributes:
        figure: the drawing.
        title: name of it.
        finding: sentence with the figures that it shows, for readers who do not see it.
    """

    figure: Figure
    title: str
    finding: str

    @property
    def chart(self) -> Chart:
        """Chart for a page: no metadata, no addresses, no ids that clash, colours of the theme."""
        text = io.StringIO()
        with style(), warnings.catch_warnings():
            # A name in a script that the layout font lacks is drawn by the reader's own fonts.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.figure.savefig(
                text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
            )
        drawing = text.getvalue()
        drawing = drawing[drawing.index("<svg") :].strip()
        drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
        drawing = re.sub(r' xmlns(:\w+)?="[^"]*"| id="[A-Za-z][A-Za-z.0-9]*_\d+"', "", drawing)
        drawing = re.sub(r"#[0-9a-f]{6}\b", lambda colour: _VARIABLES.get(colour[0], colour[0]), drawing)
        drawing = re.sub(r"font-family: [^;\"]*;? ?", "", drawing)  # the page's own
        return Chart(titled(drawing, self.title, self.finding), self.title)


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
