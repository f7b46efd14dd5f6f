"""Figures of robustness: scores of models against the level of a perturbation."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.figure import Figure

from simulations.report.plots.arm_plots import ARM_COLOURS
from simulations.report.plots.frame import chance_of
from simulations.report.plots.style import GREY, SMALL, WIDTH, Plot, shortened, style
from simulations.results.metrics import metric_name
from simulations.results.robustness import CohortRobustness
from simulations.results.schema import ARM_NAMES, Arm

NAMED = frozenset({"missing modality", "unseen hospital"})
"""Kinds whose levels are names and no amounts: their points are not joined."""

_UNCHANGED = "as is"
"""Level without a perturbation: "none" would be read as that of the labels kept."""

_MARKS: dict[Arm, tuple[Literal["o", "s", "^", "D", "v"], Literal["-", "--", ":", "-."]]] = {
    "federated": ("o", "-"),
    "federated_linear": ("s", "--"),
    "cox": ("^", "-."),
    "logistic": ("^", "-."),
    "ridge": ("^", "-."),
    "forest": ("D", ":"),
}
"""Mark and line of a model, which stay apart where colours do not."""


def robustness_plot(cohort: CohortRobustness, task: str, kind: str, finding: str) -> Plot | None:
    """Draw every model's score without and under a kind of perturbation; None without scores.

    Args:
        cohort: figures of a cohort.
        task: task of the scores.
        kind: kind of perturbation.
        finding: sentence for readers who do not see the figure.
    """
    conditions = cohort.by_kind()[kind]
    arms = cohort.arms(task)
    scores = {
        arm: [cohort.unperturbed(task, arm), *(condition.mean(task, arm) for condition in conditions)]
        for arm in arms
    }
    if not any(score is not None for of in scores.values() for score in of):
        return None
    named = kind in NAMED
    with style():
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for number, arm in enumerate(arms):
            mark, line = _MARKS[arm]
            points = [(at, score) for at, score in enumerate(scores[arm]) if score is not None]
            aside = 0.12 * (number - (len(arms) - 1) / 2) if named else 0.0
            axes.plot(
                [at + aside for at, _ in points],
                [score for _, score in points],
                marker=mark,
                markersize=5,
                linestyle="" if named else line,
                color=ARM_COLOURS[arm],
                label=ARM_NAMES[arm].removesuffix(", pooled"),
                zorder=3 if arm == "federated" else 2,
            )
        axes.set_ylim(_limits(cohort, task))
        chance = chance_of(cohort.headlines[task])
        if chance is not None and axes.get_ylim()[0] <= chance <= axes.get_ylim()[1]:
            axes.axhline(chance, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)
        axes.set_xticks(range(len(conditions) + 1), _ticks([condition.level for condition in conditions]))
        axes.set_xlim(-0.4, len(conditions) + 0.4)
        axes.set_title(kind.capitalize())
        axes.set_ylabel(metric_name(cohort.headlines[task]))
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)
        return Plot(figure, f"{kind.capitalize()}, {metric_name(cohort.headlines[task])}", finding)


def _limits(cohort: CohortRobustness, task: str) -> tuple[float, float]:
    """Limits of the scores of all kinds, so that a step is as high in every figure of a task."""
    means = [of.mean(task, arm) for of in cohort.conditions for arm in cohort.arms(task)]
    defined = [mean for mean in means if mean is not None]
    margin = max(0.01, 0.06 * (max(defined) - min(defined)))
    return min(defined) - margin, max(defined) + margin


def _ticks(levels: Sequence[str]) -> list[str]:
    return [_UNCHANGED, *(shortened(level).replace(" ", "\n", 1) if level else "unseen" for level in levels)]
