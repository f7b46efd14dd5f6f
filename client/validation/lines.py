"""Validation in words and numbers for a terminal."""

from collections.abc import Iterator, Sequence

from client.validation.report import ValidationReport
from common.counting import written
from common.validation.figures import FLOOR, HorizonFigures, OutcomeFigures, TaskFigures

MISSING = "—"


def report_lines(report: ValidationReport) -> Iterator[str]:
    """Write a validation as lines."""
    yield f"Validation of {report.release}, {report.setting}: {report.records:,} {report.whose}."
    yield f"For {report.use}. A figure needs {FLOOR} {report.unit} with the outcome and {FLOOR} without."
    seen = [
        f"{name} {_percent(share.patients)}"
        + ("" if share.columns is None else f" ({_percent(share.columns)} of its columns)")
        for name, share in report.observed.items()
    ]
    yield f"Measured: {', '.join(seen)}."
    if report.calibration:
        states = "; ".join(f"{task} {state.words}" for task, state in report.calibration.items())
        yield f"Calibrated at this hospital: {states}."
        if report.is_fitted_to_these:
            yield f"The level was fitted to these {report.unit} among others, so that its O/E is near 1 by itself."
    for task in report.tasks:
        for outcome in task.outcomes:
            yield ""
            yield from _outcome_lines(task, outcome)


def _outcome_lines(task: TaskFigures, outcome: OutcomeFigures) -> Iterator[str]:
    yield f"{title(task, outcome)} ({outcome.patients:,} labelled): {task.metric} {outcome.discrimination.text()}"
    for figures in outcome.horizons:
        yield from _horizon_lines(task, figures)
    for division, groups in outcome.groups.items():
        of = f"  by {division}" + (f", risk{by}" if (by := _by(task, outcome.grouped_by)) else "")
        if all(group.patients is None for group in groups):
            yield f"{of}: too few with the outcome, or without it, in every group"
            continue
        yield of
        rows = [("", "patients", "events", "expected", "observed", "O/E", task.metric)]
        rows += [
            (
                group.name,
                MISSING if group.patients is None else f"{group.patients:,}",
                MISSING if group.events is None else f"{group.events:,}",
                _percent(group.expected),
                _percent(group.observed.value),
                group.ratio.text(),
                group.discrimination.text(),
            )
            for group in groups
        ]
        yield from aligned(rows)


def _horizon_lines(task: TaskFigures, figures: HorizonFigures) -> Iterator[str]:
    by = _by(task, figures.horizon).lstrip()
    if figures.events is None:
        yield f"  {by or 'risk'}: too few with the outcome, or without it, for a figure"
        return
    without = "without it" if figures.horizon is None else "followed without it"
    yield f"  {by or 'risk'}: {figures.events:,} with the event, {figures.spared:,} {without}"
    observed = (
        _percent(figures.observed.value),
        _percent(figures.observed.low),
        _percent(figures.observed.high),
    )
    yield f"    expected {_percent(figures.expected)}, observed {observed[0]} ({observed[1]} to {observed[2]})"
    ratio = f"    O/E {figures.ratio.text()}"
    if figures.followed is not None:
        ratio += f" by Kaplan-Meier, {figures.followed.ratio.text()} by events while followed"
    yield ratio
    if figures.auc.value is not None:
        yield f"    AUC {figures.auc.text()}"
    level = figures.level
    yield f"    calibration level {level.intercept.text()} (best 0), slope {level.slope.text()} (best 1)"
    if figures.curve is not None:
        yield f"    smooth curve: mean distance {figures.curve.distance:.3f}"
    if figures.brier is not None and figures.brier.model is not None and figures.brier.null is not None:
        brier = figures.brier
        yield f"    Brier score {brier.model:.4f}, null model {brier.null:.4f}; gain {brier.gain.text(4)}"
    if figures.cells:
        ranges = [("    predicted risk", "observed", "patients", "events")]
        ranges += [
            (
                f"    {cell.expected:.1%}",
                _percent(cell.observed.value),
                f"{cell.patients:,}",
                MISSING if cell.events is None else f"{cell.events:,}",
            )
            for cell in figures.cells
        ]
        yield from aligned(ranges)
    rows = [("    net benefit at", "treated", "model", "treat all", "model minus all")]
    rows += [
        (
            f"    {decision.threshold:.0%}",
            MISSING if decision.treated is None else f"{decision.treated:.0%}",
            decision.model.text(3),
            MISSING if decision.everyone is None else f"{decision.everyone:.3f}",
            decision.above_everyone.text(3),
        )
        for decision in figures.decisions
    ]
    yield from aligned(rows)


def title(task: TaskFigures, outcome: OutcomeFigures) -> str:
    """Name an outcome of a task."""
    return f"{task.task}, {outcome.name}" if outcome.name else task.task


def _by(task: TaskFigures, horizon: float | None) -> str:
    return "" if horizon is None else f" by {written(horizon)} {task.unit}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows of cells in columns, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"    {first.strip():<{widths[0]}}", *cells]).rstrip()


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{share:.1%}"
