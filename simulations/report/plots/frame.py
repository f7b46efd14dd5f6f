"""Parts that the report's figures share: named rows, marks of scores, limits and chance."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.report.plots.style import BLUE, GREY, INK, SMALL, WIDTH
from simulations.results.schema import MetricSummary

CHANCE = 0.5


_CHANCES = {"c_index": CHANCE, "auroc": CHANCE, "r2": 0.0}

_NEAR_CHANCE = 0.08
"""Least distance from chance at which a figure of rows begins at the score and not at chance."""


def chance_of(metric: str) -> float | None:
    """Score of guesses, in a metric that has one."""
    return _CHANCES.get(metric)


ROW = 0.38
"""Height in inches of a row with its name above it."""


def one_panel(height: float) -> tuple[Figure, Axes]:
    """Make a figure with one panel; `height` is in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write names above the rows of a figure, the first row on top."""
    for row, name in enumerate(names):
        axes.text(0, row - 0.42, name, va="center", fontsize=SMALL, transform=axes.get_yaxis_transform())
    axes.set_yticks([])
    axes.set_ylim(len(names) - 0.55, -0.75)
    axes.spines["left"].set_visible(False)


def text_beside(axes: Axes, row: int, text: str) -> None:
    """Write a text beside a row."""
    axes.text(1.02, row, text, va="center", fontsize=SMALL, transform=axes.get_yaxis_transform())


def mark_summary(axes: Axes, at: float, summary: MetricSummary, colour: str, upright: bool = False) -> None:
    """Mark interval, folds and mean of a score at a row, or upright at a horizontal position."""

    def plot(scores: Sequence[float], form: str, **options: Any) -> None:
        ends = [at] * len(scores)
        axes.plot(*((ends, scores) if upright else (scores, ends)), form, **options)

    low, high = summary.interval
    if low is not None and high is not None:
        plot([low, high], "-", color=colour, linewidth=2.2, solid_capstyle="round")
    folds = [score for score in summary.per_fold if score is not None]
    if len(folds) > 1:
        stroke, size = ("_", 9) if upright else ("|", 7)
        plot(folds, stroke, color=INK, markersize=size, markeredgewidth=0.8, alpha=0.55)
    if summary.mean is not None:
        plot([summary.mean], "o", color=colour, markersize=7.5, markeredgecolor="white", zorder=3)


def summary_scores(summary: MetricSummary) -> list[float | None]:
    """Mean, folds and interval of a score, all of which a figure has to show."""
    return [summary.mean, *summary.per_fold, *summary.interval]


def score_limits(
    scores: Sequence[float | None], share: float, chance: float | None = None
) -> tuple[float, float]:
    """Limits of an axis around all defined scores.

    The margin is a `share` of their range.

    An axis with a `chance` begins there if the lowest score is near it.
    """
    defined = [score for score in scores if score is not None]
    low, high = min(defined), max(defined)
    margin = max(share * (high - low), 0.01)
    if chance is not None and low < chance + _NEAR_CHANCE:
        low = min(low, chance)
    return low - margin if low < 0 else max(0.0, low - margin), min(1.0, high + margin)


def frame_rows(
    axes: Axes, names: Sequence[str], scores: Sequence[float | None], label: str, metric: str
) -> None:
    """Name rows, set limits around their scores, and mark chance if it is in view."""
    chance = chance_of(metric)
    axes.set_xlim(score_limits(scores, 0.06, chance))
    name_rows(axes, names)
    if chance is not None and axes.get_xlim()[0] <= chance <= axes.get_xlim()[1]:
        axes.axvline(chance, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
        axes.text(chance, -0.8, "chance", fontsize=SMALL, color=GREY, ha="center", va="bottom")
    axes.set_xlabel(label)


def mark_federated(axes: Axes, mean: float) -> None:
    """Mark the federated arm's mean through all rows."""
    axes.axvline(mean, color=BLUE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
