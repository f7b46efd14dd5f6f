"""ROC curves of the attacks on logarithmic axes, which show the few patients surely found."""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from common.files import write_whole
from simulations.audit.report import Attack, Audit
from simulations.audit.roc import FALSE_POSITIVES
from simulations.report.plots.style import BLUE, BROWN, CHARCOAL, GREY, MAGENTA, OCHRE, TEAL, WIDE, style

FILE = "roc.svg"


_COLOURS = (BROWN, OCHRE, BLUE, TEAL, MAGENTA, CHARCOAL)


_LEAST = 1e-3


def write_roc(audit: Audit, folder: Path) -> None:
    """Write `roc.svg`: LiRA and the loss attack side by side, a line for every way of training."""
    text = io.StringIO()
    with style():
        draw_roc(audit).savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    write_whole(folder / FILE, text.getvalue().encode())


def draw_roc(audit: Audit) -> Figure:
    """Draw the figure; call it inside `simulations.report.plots.style.style`."""
    figure = Figure(figsize=(WIDE, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _panel(left, "LiRA, shadow models", [(row.name, row.lira) for row in audit.rows])
    _panel(right, "Loss attack", [(row.name, row.loss) for row in audit.rows])
    left.set_ylabel("Members found")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _panel(axes: Axes, title: str, attacks: list[tuple[str, Attack]]) -> None:
    axes.plot([_LEAST, 1], [_LEAST, 1], color=GREY, linewidth=0.8, linestyle="--", label="guessing")
    axes.axvline(FALSE_POSITIVES, color=GREY, linewidth=0.6, linestyle=":")
    for index, (name, attack) in enumerate(attacks):
        points = [(max(false, _LEAST / 10), max(true, _LEAST / 10)) for false, true in attack.curve]
        false, true = zip(*points, strict=True)
        axes.plot(false, true, color=_COLOURS[index % len(_COLOURS)], drawstyle="steps-post", label=name)
    axes.set(xscale="log", yscale="log", xlim=(_LEAST, 1), ylim=(_LEAST, 1.02), title=title)
    axes.set_xlabel("Others taken for members")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, index: f"{100 * share:g}%"))
