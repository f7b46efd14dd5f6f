"""Aggregated figures of held-out patients for the curves of a report; no row leaves here.

Curves are taken on a fixed grid, not at patients' times, and a point with fewer than `MINIMUM` patients is left out.
"""

from dataclasses import dataclass

import numpy as np

from common.evaluation.predictions import Prediction, SurvivalPrediction, concatenate
from common.evaluation.survival import survival_labels
from common.tasks.task import OutcomeForm
from simulations.report.outcomes.calibration import Calibration, calibration
from simulations.report.outcomes.evidence import Array, TaskEvidence

MINIMUM = 5


_PER_YEAR = {"days": 365.25, "months": 12.0, "years": 1.0}


@dataclass(frozen=True)
class Axis:
    """Readable time axis: round ticks [K] in `unit`, `per` of which are one unit of the task."""

    unit: str
    per: float
    ticks: Array


def time_axis(evidence: TaskEvidence) -> Axis | None:
    """Make a time axis with round ticks, up to the time when one patient in twenty is followed."""
    from matplotlib.ticker import MaxNLocator

    labels = [survival_labels(fold.labels, fold.labelled)[0] for fold in evidence.folds]
    time = np.concatenate(labels) if labels else np.array([])
    if not len(time):
        return None
    end = float(np.quantile(time, 0.95))
    unit = evidence.task.outcome_unit
    per = 1.0
    if end >= 2 * _PER_YEAR[unit]:
        unit, per = "years", 1 / _PER_YEAR[unit]
    round_ticks = MaxNLocator(nbins=6, steps=[1, 2, 3, 5, 6, 10]).tick_values(0, end * per)
    ticks = np.asarray(round_ticks, dtype=np.float64)
    ticks = ticks[(ticks >= 0) & (ticks <= end * per * 1.001)]
    return Axis(unit, per, ticks) if len(ticks) > 1 else None


@dataclass(frozen=True)
class CalibrationCurve:
    """Points of predicted against observed probability of an event."""

    points: Calibration
    event: str


def calibration_curve(evidence: TaskEvidence) -> CalibrationCurve | None:
    """Calibration over all folds.

    Survival is judged at the tick next to the median time of an event.
    """
    task, folds = evidence.task, evidence.folds
    if (
        task.form in (OutcomeForm.NUMBER, OutcomeForm.OTHER)
        or not folds
        or not any(np.asarray(fold.labelled).any() for fold in folds)
    ):
        return None
    labels = np.concatenate([np.asarray(fold.labels) for fold in folds])
    labelled = np.concatenate([np.asarray(fold.labelled) for fold in folds])
    predictions, horizon, event = [fold.prediction for fold in folds], None, ""
    if task.form is OutcomeForm.TIME_TO_EVENT:
        axis = time_axis(evidence)
        time, seen = survival_labels(labels, labelled)
        if axis is None or not seen.any():
            return None
        tick = axis.ticks[1:][np.argmin(abs(axis.ticks[1:] - np.median(time[seen]) * axis.per))]
        horizon = float(tick / axis.per)
        predictions = [_only_at(horizon, prediction) for prediction in predictions]
        event = f"the event within {tick:g} {axis.unit if tick != 1 else axis.unit.rstrip('s')}"
    elif task.form is OutcomeForm.CLASSES:
        names = task.outcome_names
        event = names[1] if len(names) == 2 else "each class"
    elif task.form is OutcomeForm.LABELS:
        event = "each adverse event"
    bins = int(np.clip(labelled.sum() // (40 * len(task.columns)), 2, 10))
    points = calibration(task, concatenate(predictions), labels, labelled, horizon, bins)
    shown = points.count >= MINIMUM
    return CalibrationCurve(
        Calibration(points.predicted[shown], points.observed[shown], points.count[shown]), event
    )


def _only_at(horizon: float, prediction: Prediction) -> SurvivalPrediction:
    assert isinstance(prediction, SurvivalPrediction)
    return SurvivalPrediction(prediction.risk, np.array([horizon]), prediction.at([horizon]))
