"""Calibration: predicted against observed probabilities, bin by bin, for the report."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.evaluation.predictions import (
    Array,
    ClassPrediction,
    LabelPrediction,
    Mask,
    Prediction,
    SurvivalPrediction,
)
from common.evaluation.survival import survival_labels
from common.tasks.task import OutcomeForm, Task

_PREDICTIONS: dict[OutcomeForm, type[Prediction]] = {
    OutcomeForm.TIME_TO_EVENT: SurvivalPrediction,
    OutcomeForm.CLASSES: ClassPrediction,
    OutcomeForm.LABELS: LabelPrediction,
}


@dataclass(frozen=True)
class Calibration:
    """B bins of rising predicted probability, equally filled as far as ties allow.

    Attributes:
        predicted: [B] float64, mean predicted probability of the event.
        observed: [B] float64, share of patients with the event (for survival by Kaplan-Meier, because of censoring).
        count: [B] patients, or patient-label cells.
    """

    predicted: Array
    observed: Array
    count: NDArray[np.intp]


def kaplan_meier(time: Array, event: Mask) -> tuple[Array, Array]:
    """Times [T], increasing from 0, and Kaplan-Meier survival [T] (by lifelines)."""
    from lifelines import KaplanMeierFitter

    curve = KaplanMeierFitter().fit(time, event).survival_function_
    return curve.index.to_numpy(dtype=np.float64), curve.iloc[:, 0].to_numpy(dtype=np.float64)


def calibration(
    task: Task,
    prediction: Prediction,
    labels: ArrayLike,
    labelled: ArrayLike,
    horizon: float | None = None,
    bins: int = 5,
) -> Calibration:
    """Compute the calibration over a task's labelled patients in at most `bins` bins.

    Survival: probability of the event by `horizon` (in the task's unit; the median test event time if not
    given) against 1 - Kaplan-Meier (Harrell, Lee & Mark 1996, section 5). Response: class 1 if there are two
    classes, otherwise every patient and class. Toxicity: every known patient and adverse event.

    Args:
        task: task of the kind of the prediction.
        prediction: prediction for P patients.
        labels, labelled: [P, columns] as in `PatientBatch`.
        horizon: time of the probability of a survival task's event.
        bins: most bins.

    Raises:
        TypeError: if the prediction is not of the task's kind.
    """
    if type(prediction) is not _PREDICTIONS.get(task.form):
        raise task.mismatch(prediction)
    is_known = np.asarray(labelled, dtype=np.bool_)
    truth = np.asarray(labels, dtype=np.float64)
    if isinstance(prediction, SurvivalPrediction):
        time, event = survival_labels(truth, is_known)
        by = horizon if horizon is not None else float(np.median(time[event])) if event.any() else 0.0
        predicted = 1 - prediction.select(np.flatnonzero(is_known.all(axis=1))).at([by])[:, 0]
        groups = _groups(predicted, bins)
        observed = [_probability_by(by, time[group], event[group]) for group in groups]
    else:
        assert isinstance(prediction, ClassPrediction | LabelPrediction)
        predicted, outcome = _cells(prediction, truth, is_known)
        groups = _groups(predicted, bins)
        observed = [float(outcome[group].mean()) for group in groups]
    means = [float(predicted[group].mean()) for group in groups]
    return Calibration(
        np.array(means), np.array(observed), np.array([len(group) for group in groups], dtype=np.intp)
    )


def _cells(
    prediction: ClassPrediction | LabelPrediction, truth: Array, is_known: Mask
) -> tuple[Array, Array]:
    """Probability and outcome (0 or 1) by labelled patient and label, or patient and class."""
    if isinstance(prediction, LabelPrediction):
        return prediction.probability[is_known], truth[is_known]
    probability = prediction.probability[is_known[:, 0]]
    indicator = np.eye(probability.shape[1])[truth[is_known[:, 0], 0].astype(np.intp)]
    shown = slice(1, None) if probability.shape[1] == 2 else slice(None)
    return probability[:, shown].ravel(), indicator[:, shown].ravel()


def _groups(predicted: Array, bins: int) -> list[NDArray[np.intp]]:
    """Indices of the patients in a quantile bin; equal predictions share one, empty bins go."""
    if not len(predicted):
        return []
    edges = np.quantile(predicted, np.arange(1, bins) / bins)
    bin_of = np.searchsorted(edges, predicted)
    return [group for number in range(bins) if len(group := np.flatnonzero(bin_of == number))]


def _probability_by(horizon: float, time: Array, event: Mask) -> float:
    times, survival = kaplan_meier(time, event)
    return float(1 - survival[np.searchsorted(times, horizon, side="right") - 1])
