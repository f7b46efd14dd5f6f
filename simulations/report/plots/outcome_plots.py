"""Figures of held-out patients from aggregates: risk, calibration, ROC, scores, events."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from simulations.report.outcomes.curves import MINIMUM, CalibrationCurve
from simulations.report.outcomes.discrimination import FALSE_POSITIVES, SCORE_EDGES, Discrimination
from simulations.report.outcomes.evidence import Array
from simulations.report.outcomes.survival_curves import RiskCurves
from simulations.report.plots.frame import CHANCE, ROW, name_rows, one_panel, text_beside
from simulations.report.plots.style import (
    BLUE,
    BROWN,
    CHARCOAL,
    DASHES,
    GREY,
    INK,
    MAGENTA,
    OCHRE,
    SMALL,
    TEAL,
    WIDTH,
    Plot,
    readable,
    shortened,
    style,
)

CLASS_COLOURS = (BLUE, OCHRE, TEAL, MAGENTA, CHARCOAL, BROWN)


THIRD_COLOURS = (BLUE, OCHRE, MAGENTA)


def risk_plot(curves: RiskCurves) -> Plot:
    """Draw Kaplan-Meier curves by third of predicted risk, with 95% bands and numbers at risk."""
    with style():
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes, table = figure.subplots(2, 1, height_ratios=[4.2, 1], sharex=True)
        for curve, colour, dash in zip(curves.curves, THIRD_COLOURS, DASHES, strict=False):
            axes.step(
                curves.grid, curve.survival, where="post", color=colour, linestyle=dash, label=curve.name
            )
            axes.fill_between(
                curves.grid, curve.low, curve.high, step="post", color=colour, alpha=0.13, linewidth=0
            )
        axes.set_ylim(0, 1.02)
        axes.set_xlim(0, curves.ticks[-1])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xticks(curves.ticks, [f"{tick:g}" for tick in curves.ticks])
        axes.tick_params(axis="x", labelbottom=True)
        axes.set_xlabel(curves.unit.capitalize())
        axes.set_title("Free of the event, by predicted risk")
        axes.legend(loc="lower left", handlelength=2.2, borderaxespad=0.2)
        axes.text(1, 1, f"log-rank {p_text(curves.p_value)}", transform=axes.transAxes, ha="right", va="top")
        _at_risk(table, curves)
        return Plot(figure, "Free of the event, by predicted risk", _divided(curves))


def _divided(curves: RiskCurves) -> str:
    """State the last share of every third, where it is known, and the test between thirds."""
    ends = []
    for curve in curves.curves:
        drawn = np.flatnonzero(np.isfinite(curve.survival))
        if len(drawn):
            share, time = curve.survival[drawn[-1]], curves.grid[drawn[-1]]
            ends.append(f"{curve.name} {share:.0%} at {time:.2g} {curves.unit}")
    return f"Free of the event, held-out patients: {', '.join(ends)}; log-rank {p_text(curves.p_value)}."


def _at_risk(table: Axes, curves: RiskCurves) -> None:
    table.set_ylim(2.6, -0.6)
    table.set_yticks(range(3), [curve.name.removesuffix(" third") for curve in curves.curves])
    table.set_title("At risk", fontweight="normal", fontsize=SMALL, color=GREY, pad=1)
    for row, curve in enumerate(curves.curves):
        for tick, count in zip(curves.ticks, curve.at_risk, strict=True):
            text = f"{count:,}" if count >= MINIMUM or count == 0 else f"<{MINIMUM}"
            table.text(tick, row, text, ha="center", va="center", fontsize=SMALL)
    table.tick_params(left=False, bottom=False, labelbottom=False, pad=16)
    for side in ("left", "bottom"):
        table.spines[side].set_visible(False)


def p_text(p_value: float) -> str:
    """Format a p value as in a paper."""
    if np.isnan(p_value):
        return "p undefined"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def calibration_plot(curve: CalibrationCurve) -> Plot | None:
    """Draw predicted against observed probability by bins; None without points."""
    points = curve.points
    if not len(points.predicted):
        return None
    with style():
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes = figure.subplots()
        end = min(1.0, 0.1 * np.ceil(10.5 * max(points.predicted.max(), points.observed.max())))
        axes.plot([0, end], [0, end], color=GREY, linewidth=0.8, linestyle="--")
        axes.plot(points.predicted, points.observed, "-o", color=BLUE, markersize=6, markeredgecolor="white")
        axes.set_xlim(-0.02 * end, end * 1.02)
        axes.set_ylim(-0.02 * end, end * 1.02)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("Predicted")
        axes.set_ylabel("Observed")
        axes.set_title(f"Probability of {shortened(readable(curve.event))}")
        axes.text(0.86 * end, 0.98 * end, "ideal", fontsize=SMALL, color=GREY, ha="right", va="top")
        gap = int(np.argmax(np.abs(points.observed - points.predicted)))
        said = f"Observed and predicted probability differ most where {points.predicted[gap]:.0%} are predicted and "
        said += f"{points.observed[gap]:.0%} observed."
        return Plot(figure, f"Calibration of {readable(curve.event)}", said)


def roc_plot(curves: list[Discrimination]) -> Plot | None:
    """Draw mean ROC curves over folds of the judged classes; None if no class can be judged."""
    if not any(np.isfinite(curve.auroc) for curve in curves):
        return None
    with style():
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        for number, curve in enumerate(curves):
            if np.isfinite(curve.auroc):
                label = f"{shortened(curve.name)} {curve.auroc:.3f}"
                colour, dash = CLASS_COLOURS[number % len(CLASS_COLOURS)], DASHES[number % len(DASHES)]
                axes.plot(FALSE_POSITIVES, curve.sensitivity, color=colour, linestyle=dash, label=label)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal")
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("Sensitivity")
        axes.set_title("ROC curve (AUROC), mean over folds")
        axes.legend(loc="lower right", handlelength=2.2)
        areas = ", ".join(f"{curve.name} {curve.auroc:.3f}" for curve in curves if np.isfinite(curve.auroc))
        return Plot(figure, "ROC curves", f"AUROC on held-out patients, mean over folds: {areas}.")


def score_plot(shares: dict[str, Array], judged: str) -> Plot | None:
    """Draw the share of patients by tenth of predicted probability and true class.

    None without patients.
    """
    if not shares:
        return None
    with style():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        axes = figure.subplots()
        for number, (name, share) in enumerate(shares.items()):
            colour, dash = CLASS_COLOURS[number % len(CLASS_COLOURS)], DASHES[number % len(DASHES)]
            axes.stairs(
                share, SCORE_EDGES, color=colour, linewidth=1.6, linestyle=dash, label=shortened(name)
            )
            axes.stairs(share, SCORE_EDGES, color=colour, alpha=0.10, fill=True)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, None)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel(f"Predicted probability of {judged}")
        axes.set_ylabel("Share of patients")
        figure.legend(title="True class", loc="outside lower center", ncols=2, title_fontsize=SMALL)
        middle = (SCORE_EDGES[:-1] + SCORE_EDGES[1:]) / 2
        means = ", ".join(f"{name} {float(share @ middle):.0%}" for name, share in shares.items())
        return Plot(
            figure,
            f"Predicted probability of {judged}",
            f"Mean predicted probability of {judged} by true class: {means}.",
        )


def label_plot(labels: list[Discrimination]) -> Plot | None:
    """Draw the AUROC of each adverse event as a bar from chance; None if no event can be judged."""
    ordered = sorted(labels, key=lambda label: -label.auroc if np.isfinite(label.auroc) else np.inf)
    areas = [label.auroc for label in ordered if np.isfinite(label.auroc)]
    if not areas:
        return None
    with style():
        figure, axes = one_panel(ROW * len(ordered) + 0.9)
        for row, label in enumerate(ordered):
            if np.isfinite(label.auroc):
                axes.barh(row, label.auroc - CHANCE, left=CHANCE, height=0.4, color=BLUE)
            text = f"{label.auroc:.3f}" if np.isfinite(label.auroc) else "too few cases"
            text_beside(axes, row, text)
        axes.axvline(CHANCE, color=INK, linewidth=0.8)
        name_rows(axes, [f"{shortened(readable(label.name))} ({_cases(label.cases)})" for label in ordered])
        axes.set_xlim(min(0.48, min(areas) - 0.03), min(1.0, 0.1 * np.ceil(10.2 * max(*areas, 0.6))))
        axes.set_title("AUROC")
        axes.set_xlabel("AUROC; 0.5 is chance")
        judged = [label for label in ordered if np.isfinite(label.auroc)]
        said = f"AUROC from {judged[-1].auroc:.3f} ({readable(judged[-1].name)}) to {judged[0].auroc:.3f} "
        return Plot(figure, "AUROC of each adverse event", f"{said}({readable(judged[0].name)}).")


def _cases(cases: int) -> str:
    return f"{cases:,} cases" if cases >= MINIMUM else f"<{MINIMUM} cases"
