"""Sums of one hospital for the calibration of a task."""

import numpy as np
from numpy.typing import NDArray

from common.assessment.floors import are_apart, are_few
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
    task: Task,
    prediction: Prediction,
    labels: Array,
    labelled: Mask,
    least: int,
    calibrating: Mask | None = None,
) -> dict[str, Array]:
    """Sum over the patients whose outcome is known, without what is about fewer than `least`.

    Args:
        task: of the prediction.
        prediction: for P patients.
        labels, labelled: [P, columns].
        least: the hospital's minimum count.
        calibrating: [P] patients about whom intervals are told too; None where none are. If the others are too few, the
            sums are over these alone.
    """
    if isinstance(prediction, SurvivalPrediction):
        return _of_survival(task, prediction, labels, labelled, least, calibrating)
    columns = [
        _without_few(rows, np.zeros(len(rows), dtype=np.bool_), calibrating, least) for rows in labelled.T
    ]
    if isinstance(prediction, NumberPrediction):
        return _of_numbers(prediction.value[columns[0]] - labels[columns[0], 0], least)
    if isinstance(prediction, ClassPrediction):
        return _of_classes(prediction.probability[columns[0]], labels[columns[0], 0], least)
    if isinstance(prediction, LabelPrediction):
        made = [
            _of_outcome(prediction.probability[rows, column], labels[rows, column] > 0, least)
            for column, rows in enumerate(columns)
        ]
        return {name: np.stack([sums[name] for sums in made]) for name in made[0]}
    raise task.mismatch(prediction)


def _without_few(rows: Mask, event: Mask, calibrating: Mask | None, least: int) -> Mask:
    """Return the patients [P] whose counts can be told beside those of calibrating ones.

    Args:
        rows: [P] patients whose outcome is known.
        event: [P] of those who count apart.
        calibrating: [P]; None where nothing else is told.
        least: the hospital's minimum count.
    """
    if calibrating is None:
        return rows
    others = rows & ~calibrating
    few = any(are_few(int(counts.sum()), least) for counts in (others & event, others & ~event))
    return rows & calibrating if few else rows


def _of_survival(
    task: Task,
    prediction: SurvivalPrediction,
    labels: Array,
    labelled: Mask,
    least: int,
    calibrating: Mask | None,
) -> dict[str, Array]:
    """Sum events up to the end of the curves, or to the last horizon that the validation tells."""
    complete: Mask = np.logical_and.reduce(labelled, axis=1)
    end = float(prediction.times[-1])
    happened = complete & (labels[:, 1] > 0) & (labels[:, 0] <= end)
    rows = _without_few(complete, happened, calibrating, least)
    time, event = survival_labels(labels[rows], labelled[rows])
    if np.array_equal(rows, complete):
        end = last_told(task, end, time, event, least)
    seen, before = np.minimum(time, end), event & (time <= end)
    return _of_times(prediction.select(np.flatnonzero(rows)), seen, before, least)


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
    if not are_apart(events, patients, least):
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
    counted = events if are_apart(events, patients, least) else 0
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
