"""Curves of robustness."""

import re

import numpy as np

from simulations.report.plots.robustness_plots import robustness_plot
from simulations.results.robustness import CohortRobustness, Condition


def cohort(*scores: float | None) -> CohortRobustness:
    conditions = [
        Condition(kind="none", level="", scores={"response": {"federated": (0.8,), "forest": (0.7,)}})
    ]
    conditions += [
        Condition(
            kind="missing values",
            level=f"{number}0%",
            scores={"response": {"federated": (score,), "forest": (0.6,)}},
        )
        for number, score in enumerate(scores, 1)
    ]
    return CohortRobustness(headlines={"response": "auroc"}, conditions=tuple(conditions), left_out={})


def test_every_level_and_model_is_in_the_figure_with_a_sentence_for_who_does_not_see_it() -> None:
    plot = robustness_plot(cohort(0.75, None, 0.6), "response", "missing values", "It loses 0.2 & more")
    assert plot is not None
    svg = plot.chart.svg
    assert 'aria-label="Missing values, AUROC. It loses 0.2 &amp; more"' in svg
    for text in ("as is", "10%", "30%", "Federated", "Random forest", "AUROC"):
        assert text in svg
    (axes,) = plot.figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]  # type: ignore[arg-type]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 2, (
        "told apart without colour"
    )
    assert list(lines[0].get_xdata()) == [0, 1, 3], "an undefined score is no point"  # type: ignore[arg-type]
    assert not re.search(r"https?://", svg)


def test_a_step_is_as_high_in_every_figure_of_a_task() -> None:
    figures = cohort(0.75, 0.3)
    noise = Condition(kind="label noise", level="10%", scores={"response": {"federated": (0.79,)}})
    both = figures.model_copy(update={"conditions": (*figures.conditions, noise)})
    plots = [robustness_plot(both, "response", kind, "") for kind in both.by_kind()]
    limits = [plot.figure.axes[0].get_ylim() for plot in plots if plot is not None]
    assert len(limits) == 2
    assert limits[0] == limits[1]
    assert limits[0][0] < 0.3 < 0.8 < limits[0][1]


def test_chance_is_that_of_the_metric() -> None:
    for metric, marks in (("auroc", 1), ("r2", 0)):  # scores from below 0.5 to 0.8
        figure = robustness_plot(
            cohort(0.45, 0.75).model_copy(update={"headlines": {"response": metric}}),
            "response",
            "missing values",
            "It falls.",
        )
        assert figure is not None
        lines = [
            np.asarray(line.get_ydata(), dtype=float).tolist() for line in figure.figure.axes[0].get_lines()
        ]
        assert lines.count([0.5, 0.5]) == marks
