"""Figures of a result that compare arms and hospitals."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from common.counting import counted
from simulations.report.plots.frame import (
    ROW,
    frame_rows,
    mark_federated,
    mark_summary,
    one_panel,
    summary_scores,
    text_beside,
)
from simulations.report.plots.style import (
    BLUE,
    BROWN,
    CHARCOAL,
    GREY,
    MAGENTA,
    OCHRE,
    PALE,
    TEAL,
    Plot,
    shortened,
    style,
)
from simulations.results.metrics import metric_name
from simulations.results.schema import (
    ARM_NAMES,
    MISSING,
    Arm,
    SimulationResult,
    SiteScores,
    interval_text,
)

ARM_COLOURS: dict[Arm, str] = {
    "federated": BLUE,
    "federated_linear": CHARCOAL,
    "local": OCHRE,
    "local_linear": GREY,
    "pooled": TEAL,
    "cox": MAGENTA,
    "logistic": MAGENTA,
    "ridge": MAGENTA,
    "forest": BROWN,
    "mlp": CHARCOAL,
    "null": GREY,
}


def arm_plot(result: SimulationResult, task: str) -> Plot | None:
    """Draw mean, 95% interval and folds of every arm; None if no arm has a score."""
    arms = [(arm, summary) for arm in result.arms(task) if (summary := result.headline(task, arm))]
    scored = [(arm, summary) for arm, summary in arms if summary.mean is not None]
    if not scored:
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure, axes = one_panel(ROW * len(arms) + 0.8)
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
        said = ", ".join(
            f"{ARM_NAMES[arm]} {interval_text(summary.mean, summary.interval)}" for arm, summary in scored
        )
        return Plot(figure, f"{metric} of every arm", f"On held-out patients: {said}.")


def site_plot(result: SimulationResult, task: str) -> Plot | None:
    """Draw each hospital's own model against the federated one; None if no hospital has a score."""
    sites = sorted(result.sites.get(task, {}).items(), key=lambda site: -(site[1].local or -1))
    pairs = [(name, scores) for name, scores in sites if scores.local is not None]
    if not pairs:
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure, axes = one_panel(ROW * len(sites) + 1.1)
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
            Line2D([], [], color=OCHRE, marker="o", linestyle="", label="the hospital's own model"),
            Line2D([], [], color=BLUE, marker="D", markersize=4.5, linestyle="", label="federated model"),
        ]
        figure.legend(handles=key, loc="outside lower center", ncols=2)
        ahead = sum((scores.federated or 0) > (scores.local or 0) for _, scores in pairs)
        (best, of_best), (worst, of_worst) = pairs[0], pairs[-1]
        said = f"The federated model is ahead of {ahead} of {counted(len(pairs), 'own model')}. Own models "
        said += f"reach from {of_worst.local:.3f} ({worst}) to {of_best.local:.3f} ({best})."
        return Plot(figure, f"{metric} of each hospital's own model", said)


def _site_row(axes: Axes, row: int, scores: SiteScores) -> None:
    if scores.local is not None and scores.federated is not None:
        axes.plot([scores.local, scores.federated], [row, row], color=PALE, linewidth=1.4, zorder=1)
    if scores.local is not None:
        axes.plot(scores.local, row, "o", color=OCHRE, markersize=6, zorder=3)
    if scores.federated is not None:
        axes.plot(scores.federated, row, "D", color=BLUE, markersize=4.5, zorder=3)
    text_beside(axes, row, MISSING if scores.local is None else f"{scores.local:.3f}")
