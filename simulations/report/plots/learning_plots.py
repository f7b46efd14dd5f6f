"""Figures of training: losses and validation scores by round, with the round that was kept."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from common.counting import counted
from simulations.report.plots.frame import one_panel
from simulations.report.plots.style import (
    BLUE,
    DASHES,
    GREY,
    OCHRE,
    WIDE,
    WIDTH,
    Plot,
    readable,
    shortened,
    style,
)
from simulations.results.schema import RoundScores, SimulationResult

_LINES = DASHES[:4]


def learning_curves(result: SimulationResult) -> Plot | None:
    """Draw losses and validation scores by round and fold in one figure; None without any loss."""
    panels = list(_panels(result))
    if not panels:
        return None
    columns = len(panels) if len(panels) <= 3 else 2
    rows = -(-len(panels) // columns)
    with style():
        figure = Figure(figsize=(WIDE if len(panels) > 1 else WIDTH, 2.9 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, draw in zip(axes, panels, strict=False):
            draw(panel)
        for panel in axes[len(panels) :]:
            panel.set_axis_off()
        figure.legend(handles=_learning_key(result), loc="outside lower center", ncols=6)
        return Plot(figure, "Losses and validation scores", _learned(result))


def learning_plots(result: SimulationResult) -> list[Plot]:
    """Draw losses and validation scores by round and fold, a figure each; none without any loss."""
    plots = []
    for draw in _panels(result):
        with style():
            figure, axes = one_panel(3.1)
            draw(axes)
            figure.legend(handles=_learning_key(result), loc="outside lower center", ncols=3)
            plots.append(Plot(figure, axes.get_title(loc="left"), _learned(result)))
    return plots


def _panels(result: SimulationResult) -> Iterator[Callable[[Axes], None]]:
    rounds = [round_ for fold in result.history for round_ in fold]
    if all(round_.training_loss is None and round_.validation_loss is None for round_ in rounds):
        return
    yield lambda axes: _losses(axes, result)
    for task in result.tasks:
        if any(task in round_.scores for round_ in rounds):
            yield partial(_scores, result=result, task=task)


def _losses(axes: Axes, result: SimulationResult) -> None:
    _fold_lines(axes, result, lambda round_: round_.training_loss, OCHRE)
    _fold_lines(axes, result, lambda round_: round_.validation_loss, BLUE, marked=True)
    _name_panel(axes, "Loss")


def _scores(axes: Axes, result: SimulationResult, task: str) -> None:
    _fold_lines(axes, result, lambda round_: round_.scores.get(task), BLUE, marked=True)
    _name_panel(axes, f"Concordance, {shortened(readable(task))}")


def _name_panel(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("Round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


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
        axes.plot(*np.array(curve).reshape(-1, 2).T, linestyle=line, color=colour, linewidth=1.3, alpha=alpha)
        points = [point for point in curve if marked and point[0] == _kept(result, number)]
        axes.plot(
            *np.array(points).reshape(-1, 2).T, "o", color=colour, markersize=7, markeredgecolor="white"
        )


def _kept(result: SimulationResult, fold: int) -> int | None:
    """Round of a fold that was kept; None where the mean of several rounds was."""
    return result.folds[fold].best_round if fold < len(result.folds) else None


def _learning_key(result: SimulationResult) -> list[Line2D]:
    folds = len(result.history)
    key = [
        Line2D([], [], color=OCHRE, label="training"),
        Line2D([], [], color=BLUE, label="validation"),
    ]
    if any(_kept(result, fold) is not None for fold in range(folds)):
        key.append(Line2D([], [], color=BLUE, marker="o", markersize=7, linestyle="", label="round kept"))
    if 1 < folds <= len(_LINES):
        key += [
            Line2D([], [], color=GREY, linestyle=_LINES[fold], label=f"fold {fold + 1}")
            for fold in range(folds)
        ]
    return key


def _learned(result: SimulationResult) -> str:
    """State first, lowest and kept validation loss of every fold."""
    sentences = []
    for number, fold in enumerate(result.history):
        losses = {at.round: at.validation_loss for at in fold if at.validation_loss is not None}
        kept = _kept(result, number)
        text = f"Fold {number + 1}: "
        if losses:
            lowest = min(losses, key=lambda at: losses[at])
            text += f"validation loss from {losses[min(losses)]:.3f} to {losses[lowest]:.3f}, "
            text += f"the lowest, in round {lowest}"
            text += f"; round {kept} was kept." if kept is not None else "."
        else:
            text += f"no validation loss in {counted(len(fold), 'round')}."
        sentences.append(text)
    return " ".join(sentences)
