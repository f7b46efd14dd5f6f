"""Table of the parts of the network with their activity, and a warning of idle ones."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from common.models.activity import Activity, Measure, Shortfall, shortfalls
from simulations.report.plots.style import readable
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.report.words.text import count_text
from simulations.results.schema import MISSING, FoldActivity, SimulationResult

Figures = Iterable[float | None]


def activity_table(result: SimulationResult) -> TextTable | None:
    """Table of active units, shares of the risk and gradients by part.

    None where the model offers no parts.
    """
    folds = _folds(result)
    if not folds:
        return None
    first = folds[0].kept
    rows = []
    nothing = [MISSING] * len(first.network)
    for name in first.branches:
        starts = [fold.initial.branches[name] for fold in folds]
        kept = [fold.kept.branches[name] for fold in folds]
        rows.append(
            (
                readable(name),
                _share(branch.active for branch in starts),
                _share(branch.active for branch in kept),
                *(_share(branch.share.get(task) for branch in kept) for task in first.network),
                *(_share(branch.edges.get(task) for branch in kept) for task in first.network),
                _norm(branch.gradient for branch in starts),
                _norm(branch.gradient for branch in kept),
            )
        )
    for name in first.gradients:
        starts_and_kept = [[fold.initial for fold in folds], [fold.kept for fold in folds]]
        norms = (_norm(activity.gradients.get(name) for activity in some) for some in starts_and_kept)
        rows.append((readable(name), MISSING, MISSING, *nothing, *nothing, *norms))
    network = (_share(fold.kept.network.get(task) for fold in folds) for task in first.network)
    heads = (
        "Part",
        "Active first",
        "Active kept",
        *(f"Risk {readable(task)}" for task in first.network),
        *(f"Edges {readable(task)}" for task in first.network),
        "Gradient first",
        "Gradient kept",
    )
    caption = (
        "Parts of the network on training patients, at the first and the kept weights, mean over folds. Active: share "
        "of a branch's units that differ between patients. Risk: share of the variance of the risk, at the kept "
        "weights, that passes through a branch's nodes and graph, and in the last row through the whole network "
        "instead of the linear scores. Edges: share of that variance that is missing with the same weights and no "
        "edges in the branch's graph. Gradient: norm of that of the training loss, with heads drawn at random where "
        "they are 0."
    )
    whole = ("whole network", MISSING, MISSING, *network, *nothing, MISSING, MISSING)
    return TextTable(heads, tuple(rows), caption, whole)


def idle_warning(result: SimulationResult) -> Statement | None:
    """Warning of the parts below a floor at the first or the kept weights; None without any."""
    folds = _folds(result)
    texts = [
        *_below(folds, lambda fold: fold.initial, "at the first weights, "),
        *_below(folds, lambda fold: fold.kept, ""),
    ]
    if not texts:
        return None
    text = (
        f"Parts of the model have hardly any effect ({'; '.join(texts)}). Do not read their edges and "
        "pathways as findings, and compare the model with a linear one."
    )
    return Statement("idle", text)


def _below(folds: list[FoldActivity], when: Callable[[FoldActivity], Activity], prefix: str) -> list[str]:
    """Describe parts below a floor, with the number of folds and the lowest figure among them."""
    lowest: dict[tuple[str, Measure], tuple[Shortfall, int]] = {}
    for fold in folds:
        for below in shortfalls(when(fold)):
            worst, count = lowest.get((below.part, below.measure), (below, 0))
            worst = replace(worst, figure=min(worst.figure, below.figure))
            lowest[below.part, below.measure] = worst, count + 1
    several = len(folds) > 1
    return [
        f"{prefix}{worst.text}" + (f" in {count} of {count_text(len(folds), 'fold')}" if several else "")
        for worst, count in lowest.values()
    ]


def _folds(result: SimulationResult) -> list[FoldActivity]:
    return [fold.activity for fold in result.folds if fold.activity is not None]


def _mean(figures: Figures) -> float | None:
    defined = [figure for figure in figures if figure is not None]
    return float(np.mean(defined)) if defined else None


def _share(figures: Figures) -> str:
    mean = _mean(figures)
    return MISSING if mean is None else f"{100 * mean:.1f}%"


def _norm(figures: Figures) -> str:
    mean = _mean(figures)
    return MISSING if mean is None else f"{mean:.2g}"
