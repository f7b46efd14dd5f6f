"""Figures of a result: learning curves, and comparisons of arms and hospitals."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulations.report.plots.frame import (
    frame_rows,
    mark_federated,
    mark_summary,
    summary_scores,
    text_beside,
    wide_figure,
)
from simulations.report.plots.style import (
    BLUE,
    GREEN,
    GREY,
    HALF,
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
    RoundScores,
    SimulationResult,
    SiteScores,
    interval_text,
)

ARM_COLOURS: dict[Arm, str] = {
    "federated": BLUE,
    "federated_linear": SKY,
    "local": ORANGE,
    "local_linear": GREY,
    "pooled": GREEN,
    "cox": PURPLE,
    "logistic": PURPLE,
    "ridge": PURPLE,
    "forest": VERMILION,
    "mlp": SKY,
    "null": GREY,
}


_LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


def learning_curves(result: SimulationResult) -> Plot | None:
    """Draw losses and validation scores by round and fold; None without any loss."""
    rounds = [round_ for fold in result.history for round_ in fold]
    if all(round_.training_loss is None and round_.validation_loss is None for round_ in rounds):
        return None
    tasks = [task for task in result.tasks if any(task in round_.scores for round_ in rounds)]
    panels = 1 + len(tasks)
    columns = panels if panels <= 3 else 2
    rows = -(-panels // columns)
    with style():
        figure = Figure(figsize=(WIDE if panels > 1 else HALF, 2.9 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        _fold_lines(axes[0], result, lambda round_: round_.training_loss, ORANGE)
        _fold_lines(axes[0], result, lambda round_: round_.validation_loss, BLUE, marked=True)
        axes[0].set_title("Loss")
        for panel, task in zip(axes[1:], tasks, strict=False):
            _fold_lines(panel, result, _score_of(task), BLUE, marked=True)
            panel.set_title(f"Concordance, {shortened(readable(task))}")
        for panel in axes[:panels]:
            panel.set_xlabel("Round")
            panel.xaxis.get_major_locator().set_params(integer=True)
        for panel in axes[panels:]:
            panel.set_axis_off()
        figure.legend(handles=_learning_key(len(result.history)), loc="outside lower center", ncols=6)
        return Plot(figure, "Loss and validation scores by round and fold")


def _score_of(task: str) -> Callable[[RoundScores], float | None]:
    return lambda round_: round_.scores.get(task)


def _fold_lines(
    axes: Axes,
    result: SimulationResult,
    value_of: Callable[[RoundScores], float | None],
    colour: str,
    marked: bool = False,
) -> None:
    few = len(result.history) <= len(_LINES)
    for number, fold in enumerate(result.history):
        curve = [(round_.round, value) for round_ in fold if (value := value_of(round_)) is not None]
        line, alpha = (_LINES[number], 1.0) if few else ("-", 0.5)
        axes.plot(*np.array(curve).reshape(-1, 2).T, line, color=colour, linewidth=1.3, alpha=alpha)
        lowest = _lowest(fold)
        points = [point for point in curve if marked and point[0] == lowest]
        axes.plot(
            *np.array(points).reshape(-1, 2).T, "o", color=colour, markersize=6, markeredgecolor="white"
        )


def _lowest(fold: Sequence[RoundScores]) -> int | None:
    """Round of the lowest validation loss."""
    losses = {round_.round: round_.validation_loss for round_ in fold if round_.validation_loss is not None}
    return min(losses, key=lambda number: losses[number], default=None)


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


def arm_plot(result: SimulationResult, task: str) -> Plot | None:
    """Draw mean, 95% interval and folds of every arm; None if no arm has a score."""
    arms = [(arm, summary) for arm in result.arms(task) if (summary := result.headline(task, arm))]
    if not any(summary.mean is not None for _, summary in arms):
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure, axes = wide_figure(0.34 * len(arms) + 0.8)
        for row, (arm, summary) in enumerate(arms):
            mark_summary(axes, row, summary, ARM_COLOURS[arm])
            text_beside(axes, row, interval_text(summary.mean, summary.interval))
        federated = result.headline(task, "federated")
        if federated and federated.mean is not None:
            mark_federated(axes, federated.mean)
        scores = [score for _, summary in arms for score in summary_scores(summary)]
        frame_rows(
            axes,
            [ARM_NAMES[arm] for arm, _ in arms],
            scores,
            f"{metric} on held-out patients",
            result.outcomes[task].metric,
        )
        return Plot(figure, f"{metric} of every arm with 95% intervals")


def site_plot(result: SimulationResult, task: str) -> Plot | None:
    """Draw each hospital's own model against the federated one; None if no hospital has a score."""
    sites = sorted(result.sites.get(task, {}).items(), key=lambda site: -(site[1].local or -1))
    if not any(scores.local is not None for _, scores in sites):
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure, axes = wide_figure(0.215 * len(sites) + 1.1)
        for row, (_, scores) in enumerate(sites):
            _site_row(axes, row, scores)
        federated = result.headline(task, "federated")
        low, high = federated.interval if federated else (None, None)
        if low is not None and high is not None:
            axes.axvspan(low, high, color=BLUE, alpha=0.10, linewidth=0, zorder=0)
        names = [f"{shortened(name)} ({scores.labelled:,})" for name, scores in sites]
        marked = [score for _, scores in sites for score in (scores.local, scores.federated)]
        frame_rows(
            axes,
            names,
            [*marked, low, high],
            f"{metric} on all held-out patients",
            result.outcomes[task].metric,
        )
        key = [
            Line2D([], [], color=ORANGE, marker="o", linestyle="", label="the hospital's own model"),
            Line2D([], [], color=BLUE, marker="D", markersize=4.5, linestyle="", label="federated model"),
        ]
        figure.legend(handles=key, loc="outside upper center", ncols=2)
        return Plot(figure, f"{metric} of each hospital's own model and of the federated model")


def _site_row(axes: Axes, row: int, scores: SiteScores) -> None:
    if scores.local is not None and scores.federated is not None:
        axes.plot([scores.local, scores.federated], [row, row], color=PALE, linewidth=1.4, zorder=1)
    if scores.local is not None:
        axes.plot(scores.local, row, "o", color=ORANGE, markersize=6, zorder=3)
    if scores.federated is not None:
        axes.plot(scores.federated, row, "D", color=BLUE, markersize=4.5, zorder=3)
    text_beside(axes, row, MISSING if scores.local is None else f"{scores.local:.3f}", 8.5)
