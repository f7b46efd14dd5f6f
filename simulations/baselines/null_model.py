"""Null model: one prediction for all patients, from the training patients' labels alone."""

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.evaluation.survival import survival_labels
from common.tasks.task import OutcomeForm, Task

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def null_prediction(task: Task, labels: Array, labelled: Mask, patients: int) -> Prediction | None:
    """Predict the same for so many patients.

    It is the Kaplan-Meier curve of the training patients, their shares of the classes, their frequency of every label,
    or their mean number; None for a task of another form, or without training labels.

    Args:
        task: task to predict.
        labels: [T, columns] labels of the training patients.
        labelled: [T, columns] whether a label is known.
        patients: number of patients to predict.
    """
    if not labelled.all(1).any():
        return None
    match task.form:
        case OutcomeForm.TIME_TO_EVENT:
            times, survival = kaplan_meier(*survival_labels(labels, labelled))
            curves = np.broadcast_to(survival, (patients, len(times)))
            return SurvivalPrediction(np.zeros(patients), times, curves)
        case OutcomeForm.CLASSES:
            classes = labels[labelled[:, 0], 0].astype(np.intp)
            share = np.bincount(classes, minlength=len(task.outcome_names)) / len(classes)
            return ClassPrediction(np.broadcast_to(share, (patients, len(share))))
        case OutcomeForm.LABELS:
            frequency = (labels * labelled).sum(0) / np.maximum(labelled.sum(0), 1)
            return LabelPrediction(np.broadcast_to(frequency, (patients, len(frequency))))
        case OutcomeForm.NUMBER:
            return NumberPrediction(np.full(patients, labels[labelled[:, 0], 0].mean()))
        case OutcomeForm.OTHER:
            return None


def kaplan_meier(time: Array, event: Mask) -> tuple[Array, Array]:
    """Estimate survival after every distinct positive time [K] (Kaplan & Meier 1958).

    Args:
        time: [T] time of event or censoring.
        event: [T] whether the event was seen.

    Returns:
        Times [K], increasing, and survival [K] at them.
    """
    times, position = np.unique(time, return_inverse=True)
    ended = np.bincount(position, minlength=len(times))
    events = np.bincount(position, weights=event, minlength=len(times))
    at_risk = ended[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / at_risk)
    return times[times > 0], survival[times > 0]
