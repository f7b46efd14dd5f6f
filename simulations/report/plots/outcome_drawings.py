"""Curves of the federated model on held-out patients, by the form of a task's outcome."""

from collections.abc import Iterator
from typing import assert_never

from common.tasks.task import OutcomeForm
from simulations.report.outcomes.curves import calibration_curve
from simulations.report.outcomes.discrimination import discrimination, score_shares
from simulations.report.outcomes.evidence import TaskEvidence
from simulations.report.outcomes.survival_curves import risk_curves
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.outcome_plots import (
    calibration_plot,
    label_plot,
    risk_plot,
    roc_plot,
    score_plot,
)
from simulations.report.plots.style import Plot


def outcome_drawings(evidence: TaskEvidence) -> Iterator[Drawing]:
    """Draw the curves of one task; none for an outcome of another form than the report knows."""
    match evidence.task.form:
        case OutcomeForm.TIME_TO_EVENT:
            yield from _of_survival(evidence)
        case OutcomeForm.CLASSES:
            yield from _of_classes(evidence)
        case OutcomeForm.LABELS:
            yield from _of_labels(evidence)
        case OutcomeForm.NUMBER | OutcomeForm.OTHER:
            return
        case _:
            assert_never(evidence.task.form)


def _of_survival(evidence: TaskEvidence) -> Iterator[Drawing]:
    curves = risk_curves(evidence)
    within = "their fold and subgroup" if curves and curves.within else "their fold"
    caption = (
        f"Kaplan-Meier curves of held-out patients by third of the federated model's predicted "
        f"risk within {within}, with 95% bands; a curve ends where fewer than five are at risk. "
    )
    yield from _beside_calibration(evidence, risk_plot(curves) if curves else None, caption)


def _of_classes(evidence: TaskEvidence) -> Iterator[Drawing]:
    curve = roc_plot(discrimination(evidence))
    yield from _beside_calibration(evidence, curve, "ROC curve of the federated model. ")
    classes = evidence.task.outcome_names
    judged = classes[1] if len(classes) == 2 else "the patient's own class"
    scores = score_plot(score_shares(evidence), judged)
    if scores:
        yield Drawing((scores.chart,), "How far apart the federated model's predictions lie.")


def _of_labels(evidence: TaskEvidence) -> Iterator[Drawing]:
    caption = "AUROC of each adverse event, mean over folds; in brackets the patients who had the event. "
    yield from _beside_calibration(evidence, label_plot(discrimination(evidence)), caption)


def _beside_calibration(evidence: TaskEvidence, plot: Plot | None, caption: str) -> Iterator[Drawing]:
    """Draw a figure and the calibration, with the caption of those that there are."""
    calibrated = calibration_curve(evidence)
    calibration = calibration_plot(calibrated) if calibrated else None
    charts = tuple(drawn.chart for drawn in (plot, calibration) if drawn)
    caption = caption if plot else ""
    if calibration:
        caption += "Calibration in equally filled bins of predicted probability."
    if charts:
        yield Drawing(charts, caption)
