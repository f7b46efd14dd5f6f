"""Figure of the price of differential privacy: the headline metric against epsilon."""

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from simulations.report.plots.arm_plots import ARM_COLOURS
from simulations.report.plots.frame import chance_of, mark_summary, one_panel, score_limits, summary_scores
from simulations.report.plots.style import BLUE, GREY, Plot, style
from simulations.results.metrics import metric_name
from simulations.results.schema import ARM_NAMES, Arm, PrivateRun, SimulationResult

_YARDSTICKS: tuple[Arm, ...] = ("federated", "pooled", "local")


_LINES = {"federated": "-", "pooled": "--", "local": ":"}


def epsilon_plot(result: SimulationResult, task: str) -> Plot | None:
    """Draw mean, 95% interval and folds by epsilon, with arms without privacy as lines.

    None if no private run has a score.
    """
    points = sorted(
        (epsilon, summary.mean, summary)
        for run in result.privacy
        if (summary := result.private_headline(task, run)) and summary.mean is not None
        if (epsilon := _epsilon(run))
    )
    if not points:
        return None
    metric = metric_name(result.outcomes[task].metric)
    with style():
        figure, axes = one_panel(3.6)
        axes.set_xscale("log")
        for epsilon, _, summary in points:
            mark_summary(axes, epsilon, summary, BLUE, upright=True)
        epsilons, means = [epsilon for epsilon, _, _ in points], [mean for _, mean, _ in points]
        axes.plot(epsilons, means, color=BLUE, linewidth=1, alpha=0.4)
        scores = [score for _, _, summary in points for score in summary_scores(summary)]
        axes.set_ylim(score_limits([*scores, *_yardsticks(axes, result, task)], 0.08))
        axes.set_xlim(min(epsilons) / 1.5, max(epsilons) * 1.7)
        axes.xaxis.set_minor_locator(NullLocator())
        chance = chance_of(result.outcomes[task].metric)
        if chance is not None and axes.get_ylim()[0] <= chance <= axes.get_ylim()[1]:
            line, label = (0, (1, 3)), f"chance, {chance:.3f}"
            axes.axhline(chance, color=GREY, linewidth=0.8, linestyle=line, label=label, zorder=0)
        axes.set_xticks(epsilons, [f"{epsilon:.3g}\n{mean:.3f}" for epsilon, mean, _ in points])
        axes.set_xlabel("Epsilon of a whole run (less is more private), and the score reached")
        axes.set_ylabel(f"{metric} on held-out patients")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1)
        said = ", ".join(
            f"{mean:.3f} at epsilon {epsilon:.3g}"
            for epsilon, mean, _ in sorted(points, key=lambda at: -at[0])
        )
        return Plot(
            figure, f"{metric} by epsilon", f"The federated model on held-out patients reaches {said}."
        )


def _epsilon(run: PrivateRun) -> float | None:
    """Target of a run, or the epsilon that it spent where the federation file gives the noise."""
    return run.spent if run.epsilon is None else run.epsilon


def _yardsticks(axes: Axes, result: SimulationResult, task: str) -> list[float]:
    """Draw the arms without privacy across the figure, and return their scores."""
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
