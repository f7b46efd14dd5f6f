"""Sums of one hospital for the calibration of a task."""

import numpy as np
from numpy.typing import NDArray

from common.calibration.outcome_sums import expected_at_nodes
from common.calibration.shapes import NODES, SAME_LEVEL, SAME_SLOPE, SLOPES
from common.calibration.survival_sums import own_calibration
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    Mask,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.evaluation.survival import survival_labels
from common.tasks.task import Task
from common.validation.sums.times import last_told

Array = NDArray[np.float64]

PATIENTS_A_NUMBER = 2
"""Patients for every number at least, where a hospital tells several expectations of one outcome."""


def computed(
    task: Task, prediction: Prediction, labels: Array, labelled: Mask, least: int
) -> dict[str, Array]:
    """Sum over the patients whose outcome is known, without what is about fewer than `least`.

    Args:
        task: of the prediction.
        prediction: for P patients.
        labels, labelled: [P, columns].
        least: the hospital's minimum count.
    """
    if isinstance(prediction, SurvivalPrediction):
        time, event = survival_labels(labels, labelled)
        last = last_told(task, float(prediction.times[-1]), time, event, least)
        seen, happened = np.minimum(time, last), event & (time <= last)
        return _of_times(prediction.select(np.flatnonzero(labelled.all(axis=1))), seen, happened, least)
    if isinstance(prediction, NumberPrediction):
        rows = labelled[:, 0]
        return _of_numbers(prediction.value[rows] - labels[rows, 0], least)
    if isinstance(prediction, ClassPrediction):
        return _of_classes(prediction.probability[labelled[:, 0]], labels[labelled[:, 0], 0], least)
    if isinstance(prediction, LabelPrediction):
        made = [
            _of_outcome(prediction.probability[rows, column], labels[rows, column] > 0, least)
            for column, rows in enumerate(labelled.T)
        ]
        return {name: np.stack([sums[name] for sums in made]) for name in made[0]}
    raise task.mismatch(prediction)


def _of_times(prediction: SurvivalPrediction, time: Array, event: Mask, least: int) -> dict[str, Array]:
    patients, slopes = len(time), np.zeros(len(SLOPES))
    nothing = np.zeros(1)
    sums = {"patients": nothing, "least": nothing, "events": nothing, "expected": slopes, "evidence": slopes}
    if patients < least:
        return sums
    added = own_calibration(prediction, time, event)
    events = added.events.sum()
    expected = np.where(np.arange(len(SLOPES)) == SAME_SLOPE, added.expected.sum(axis=0), 0.0)
    sums |= {"patients": np.array([patients]), "least": np.array([least]), "expected": expected}
    if not least <= events <= patients - least:
        return sums
    sums |= {"events": np.array([events])}
    if patients >= PATIENTS_A_NUMBER * 2 * len(SLOPES):
        sums |= {"expected": added.expected.sum(axis=0), "evidence": added.evidence.sum(axis=0)}
    return sums


def _of_outcome(probability: Array, happened: Mask, least: int) -> dict[str, Array]:
    patients, events = len(happened), int(happened.sum())
    if patients < least:
        return {name: np.zeros(()) for name in ("patients", "least", "events")} | {
            "expected": np.zeros(len(NODES))
        }
    expected = expected_at_nodes(probability).sum(axis=0)
    if patients < PATIENTS_A_NUMBER * len(NODES):
        expected = np.where(np.arange(len(NODES)) == SAME_LEVEL, expected, 0.0)
    counted = events if least <= events <= patients - least else 0
    return {
        "patients": np.array(patients),
        "least": np.array(least),
        "events": np.array(counted),
        "expected": expected,
    }


def _of_classes(probability: Array, index: Array, least: int) -> dict[str, Array]:
    classes = probability.shape[1]
    first = 1 if classes == 2 else 0
    made = [_of_outcome(probability[:, column], index == column, least) for column in range(first, classes)]
    sums = {name: np.stack([outcome[name] for outcome in made]) for name in made[0]}
    if (sums["events"] == 0).any():  # the others, added up, would tell how many are left
        sums["events"] = np.zeros_like(sums["events"])
    return sums


def _of_numbers(error: Array, least: int) -> dict[str, Array]:
    if len(error) < least:
        return {name: np.zeros(1) for name in ("patients", "error", "square")}
    return {
        "patients": np.array([len(error)]),
        "error": np.array([error.sum()]),
        "square": np.array([(error**2).sum()]),
    }
