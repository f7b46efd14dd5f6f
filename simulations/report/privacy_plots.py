"""Figure of what differential privacy costs: the headline metric against epsilon."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from simulations.report.plots import ARM_COLOURS
from simulations.report.style import BLUE, GREY, INK, WIDE, Plot, style
from simulations.results.metrics import metric_name
from simulations.results.schema import ARM_NAMES, Arm, MetricSummary, PrivateRun, Result

_YARDSTICKS: tuple[Arm, ...] = ("federated", "pooled", "local")


_LINES = {"federated": "-", "pooled": "--", "local": ":"}


def epsilon_plot(result: Result, task: str) -> Plot | None:
    """Mean, 95% interval and single folds by epsilon, with arms without privacy as lines; None without a figure."""
    points = sorted(
        (epsilon, summary.mean, summary)
        for run in result.privacy
        if (summary := result.private_headline(task, run)) and summary.mean is not None
        if (epsilon := _place(run))
    )
    if not points:
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure = Figure(figsize=(WIDE, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        for epsilon, mean, summary in points:
            _point(axes, epsilon, mean, summary)
        places, means = [epsilon for epsilon, _, _ in points], [mean for _, mean, _ in points]
        axes.plot(places, means, color=BLUE, linewidth=1, alpha=0.4)
        known = [figure for _, _, each in points for figure in (each.mean, *each.per_fold, *each.interval)]
        known += _yardsticks(axes, result, task)
        _frame(axes, places, known)
        axes.set_xticks(places, [f"{epsilon:.3g}\n{mean:.3f}" for epsilon, mean, _ in points])
        axes.set_ylabel(f"{metric} on held-out patients")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return Plot(figure, f"{metric} of the federated model by epsilon, and of arms without privacy")


def _place(run: PrivateRun) -> float | None:
    """The target on the axis; what was spent where the federation file gave the noise."""
    return run.spent if run.epsilon is None else run.epsilon


def _point(axes: Axes, epsilon: float, mean: float, summary: MetricSummary) -> None:
    low, high = summary.interval
    if low is not None and high is not None:
        axes.plot([epsilon, epsilon], [low, high], color=BLUE, linewidth=2.2, solid_capstyle="round")
    folds = [figure for figure in summary.per_fold if figure is not None]
    if len(folds) > 1:
        axes.plot(
            [epsilon] * len(folds), folds, "_", color=INK, markersize=9, markeredgewidth=0.8, alpha=0.55
        )
    axes.plot(epsilon, mean, "o", color=BLUE, markersize=7.5, markeredgecolor="white", zorder=3)


def _yardsticks(axes: Axes, result: Result, task: str) -> list[float]:
    """Draw the arms without privacy across the figure; returns their figures."""
    shown = []
    for arm in _YARDSTICKS:
        summary = result.headline(task, arm)
        if summary is None or summary.mean is None or (arm == "federated" and result.agreed):
            continue
        name = "Federated, without privacy" if arm == "federated" else ARM_NAMES[arm]
        label = f"{name}, {summary.mean:.3f}"
        axes.axhline(
            summary.mean, color=ARM_COLOURS[arm], linewidth=1.3, linestyle=_LINES[arm], label=label, zorder=1
        )
        shown.append(summary.mean)
    return shown


def _frame(axes: Axes, epsilons: Sequence[float], figures: Sequence[float | None]) -> None:
    """Limits around what is known, chance marked if it is in view."""
    known = [figure for figure in figures if figure is not None]
    margin = max(0.08 * (max(known) - min(known)), 0.01)
    axes.set_ylim(max(0.0, min(known) - margin), min(1.0, max(known) + margin))
    axes.set_xlim(min(epsilons) / 1.5, max(epsilons) * 1.7)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Epsilon of a whole run (less is more private), and the score reached")
    if axes.get_ylim()[0] <= 0.5 <= axes.get_ylim()[1]:
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)), label="chance, 0.500", zorder=0)
