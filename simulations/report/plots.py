"""Figures of a result: how training went, and how arms and hospitals compare."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulations.report.style import (
    BLUE,
    GREEN,
    GREY,
    HALF,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    WIDE,
    Plot,
    readable,
    shortened,
    style,
)
from simulations.results.metrics import metric_name
from simulations.results.schema import (
    ARM_NAMES,
    MISSING,
    Arm,
    MetricSummary,
    Result,
    Round,
    interval_text,
)

ARM_COLOURS: dict[Arm, str] = {
    "federated": BLUE,
    "local": ORANGE,
    "local_linear": GREY,
    "pooled": GREEN,
    "cox": PURPLE,
    "logistic": PURPLE,
    "forest": VERMILION,
    "mlp": SKY,
}


_LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


def learning_curves(result: Result) -> Plot | None:
    """Losses and validation scores by round and fold, that of the lowest loss marked; None without any loss."""
    losses = [each.training_loss for fold in result.history for each in fold]
    losses += [each.validation_loss for fold in result.history for each in fold]
    if all(loss is None for loss in losses):
        return None
    tasks = [
        task for task in result.tasks if any(task in each.scores for fold in result.history for each in fold)
    ]
    panels = 1 + len(tasks)
    columns = panels if panels <= 3 else 2
    rows = -(-panels // columns)
    with style():
        figure = Figure(figsize=(WIDE if panels > 1 else HALF, 2.9 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        _fold_lines(axes[0], result, lambda each: each.training_loss, ORANGE)
        _fold_lines(axes[0], result, lambda each: each.validation_loss, BLUE, marked=True)
        axes[0].set_title("Loss")
        for panel, task in zip(axes[1:], tasks, strict=False):
            _fold_lines(panel, result, _score_of(task), BLUE, marked=True)
            metric = result.outcomes[task].metric
            panel.set_title(f"{metric_name(metric)}, {shortened(readable(task))}")
        for panel in axes[:panels]:
            panel.set_xlabel("Round")
            panel.xaxis.get_major_locator().set_params(integer=True)
        for panel in axes[panels:]:
            panel.set_axis_off()
        figure.legend(handles=_learning_key(len(result.history)), loc="outside lower center", ncols=6)
        return Plot(figure, "Loss and validation scores by round and fold")


def _score_of(task: str) -> Callable[[Round], float | None]:
    return lambda each: each.scores.get(task)


def _fold_lines(
    axes: Axes, result: Result, figure_of: Callable[[Round], float | None], colour: str, marked: bool = False
) -> None:
    few = len(result.history) <= len(_LINES)
    for number, fold in enumerate(result.history):
        known = [(each.round, value) for each in fold if (value := figure_of(each)) is not None]
        line, alpha = (_LINES[number], 1.0) if few else ("-", 0.5)
        axes.plot(*np.array(known).reshape(-1, 2).T, line, color=colour, linewidth=1.3, alpha=alpha)
        lowest = _lowest(fold)
        points = [point for point in known if marked and point[0] == lowest]
        axes.plot(
            *np.array(points).reshape(-1, 2).T, "o", color=colour, markersize=6, markeredgecolor="white"
        )


def _lowest(fold: Sequence[Round]) -> int | None:
    """The round in which the lowest validation loss was seen."""
    losses = {each.round: each.validation_loss for each in fold if each.validation_loss is not None}
    return min(losses, key=lambda each: losses[each], default=None)


def _learning_key(folds: int) -> list[Line2D]:
    key = [
        Line2D([], [], color=ORANGE, label="training"),
        Line2D([], [], color=BLUE, label="validation"),
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="lowest validation loss"),
    ]
    if 1 < folds <= len(_LINES):
        key += [
            Line2D([], [], color=GREY, linestyle=_LINES[fold], label=f"fold {fold + 1}")
            for fold in range(folds)
        ]
    return key


def arm_plot(result: Result, task: str) -> Plot | None:
    """Mean, 95% interval and single folds of every arm; None if no arm has a figure."""
    arms = [(arm, summary) for arm in result.arms(task) if (summary := result.headline(task, arm))]
    if not any(summary.mean is not None for _, summary in arms):
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure = Figure(figsize=(WIDE, 0.34 * len(arms) + 0.8), layout="constrained")
        axes = figure.subplots()
        for row, (arm, summary) in enumerate(arms):
            _arm_row(axes, row, summary, ARM_COLOURS[arm])
        axes.set_yticks(range(len(arms)), [ARM_NAMES[arm] for arm, _ in arms])
        federated = result.headline(task, "federated")
        if federated and federated.mean is not None:
            axes.axvline(federated.mean, color=BLUE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
        figures = [figure for _, each in arms for figure in (each.mean, *each.per_fold, *each.interval)]
        _frame(axes, len(arms), figures, f"{metric} on held-out patients")
        return Plot(figure, f"{metric} of every arm with 95% intervals")


def _arm_row(axes: Axes, row: int, summary: MetricSummary, colour: str) -> None:
    low, high = summary.interval
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=colour, linewidth=2.2, solid_capstyle="round")
    folds = [figure for figure in summary.per_fold if figure is not None]
    if len(folds) > 1:
        axes.plot(folds, [row] * len(folds), "|", color=INK, markersize=7, markeredgewidth=0.8, alpha=0.55)
    if summary.mean is not None:
        axes.plot(summary.mean, row, "o", color=colour, markersize=7.5, markeredgecolor="white", zorder=3)
    axes.text(
        1.02,
        row,
        interval_text(summary.mean, summary.interval),
        va="center",
        transform=axes.get_yaxis_transform(),
    )


def site_plot(result: Result, task: str) -> Plot | None:
    """Each hospital's own model against the federated one, on all held-out patients; None without any."""
    sites = sorted(result.sites.get(task, {}).items(), key=lambda site: -(site[1].local or -1))
    if not any(scores.local is not None for _, scores in sites):
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure = Figure(figsize=(WIDE, 0.215 * len(sites) + 1.1), layout="constrained")
        axes = figure.subplots()
        for row, (_, scores) in enumerate(sites):
            if scores.local is not None and scores.federated is not None:
                axes.plot([scores.local, scores.federated], [row, row], color=PALE, linewidth=1.4, zorder=1)
            if scores.local is not None:
                axes.plot(scores.local, row, "o", color=ORANGE, markersize=6, zorder=3)
            if scores.federated is not None:
                axes.plot(scores.federated, row, "D", color=BLUE, markersize=4.5, zorder=3)
            text = MISSING if scores.local is None else f"{scores.local:.3f}"
            axes.text(1.02, row, text, va="center", fontsize=8.5, transform=axes.get_yaxis_transform())
        names = [f"{shortened(name)} ({scores.labelled:,})" for name, scores in sites]
        axes.set_yticks(range(len(sites)), names)
        federated = result.headline(task, "federated")
        low, high = federated.interval if federated else (None, None)
        if low is not None and high is not None:
            axes.axvspan(low, high, color=BLUE, alpha=0.10, linewidth=0, zorder=0)
        figures = [figure for _, scores in sites for figure in (scores.local, scores.federated)]
        _frame(axes, len(sites), [*figures, low, high], f"{metric} on all held-out patients")
        key = [
            Line2D([], [], color=ORANGE, marker="o", linestyle="", label="the hospital's own model"),
            Line2D([], [], color=BLUE, marker="D", markersize=4.5, linestyle="", label="federated model"),
        ]
        figure.legend(handles=key, loc="outside upper center", ncols=2)
        return Plot(figure, f"{metric} of each hospital's own model and of the federated model")


def _frame(axes: Axes, rows: int, figures: Sequence[float | None], label: str) -> None:
    """Limits around what is known, first row on top, chance marked if it is in view."""
    known = [figure for figure in figures if figure is not None]
    low, high = min(known), max(known)
    margin = max(0.06 * (high - low), 0.01)
    low = min(low, 0.5) if low < 0.58 else low
    axes.set_xlim(max(0.0, low - margin), min(1.0, high + margin))
    axes.set_ylim(rows - 0.4, -0.6)
    if axes.get_xlim()[0] <= 0.5 <= axes.get_xlim()[1]:
        axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
        axes.text(0.5, -0.6, "chance", fontsize=7.5, color=GREY, ha="center", va="bottom")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label)
