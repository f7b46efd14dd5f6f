"""Sums of one hospital for the intervals of a task."""

import numpy as np
from numpy.typing import NDArray

from common.assessment.floors import are_apart
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    Mask,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.evaluation.survival import survival_labels
from common.intervals.censoring import censoring_of, parts_of, uncensored
from common.intervals.scores import of_classes, of_label, of_numbers, of_times
from common.intervals.steps import merged_steps
from common.tasks.task import Task

Array = NDArray[np.float64]


def censoring(ends: Array, labels: Array, labelled: Mask, least: int) -> dict[str, Array]:
    """Sum censored patients of a task of times.

    Args:
        ends: [K] of the hazard intervals.
        labels, labelled: [P, 2].
        least: the hospital's minimum count.
    """
    time, event = survival_labels(labels, labelled)
    censored, seen = censoring_of(parts_of(ends), time, event, least)
    return {"censored": censored, "seen": seen}


def steps(
    task: Task, prediction: Prediction, labels: Array, labelled: Mask, hazard: Array | None, least: int
) -> dict[str, Array]:
    """Sum weights by steps of the score.

    Args:
        task: of the prediction.
        prediction: for P patients.
        labels, labelled: [P, columns].
        hazard: [parts] of censoring, for a task of times.
        least: the hospital's minimum count.
    """
    made: list[dict[str, Array]] = []
    if isinstance(prediction, SurvivalPrediction) and hazard is not None:
        time, event = survival_labels(labels, labelled)
        here = prediction.select(np.flatnonzero(labelled.all(axis=1)))
        weights = 1 / uncensored(parts_of(prediction.times), hazard, time, event)
        happened = event & (time < prediction.times[-1])
        made.append(_of_events(of_times(here, time), weights, happened, least))
    elif isinstance(prediction, ClassPrediction):
        rows = np.flatnonzero(labelled[:, 0])
        made.append(_of_everybody(of_classes(prediction.select(rows), labels[rows, 0]), least))
    elif isinstance(prediction, LabelPrediction):
        for column in range(labels.shape[1]):
            rows = np.flatnonzero(labelled[:, column])
            made.append(
                _of_everybody(of_label(prediction.select(rows), column, labels[rows, column] > 0), least)
            )
    elif isinstance(prediction, NumberPrediction):
        rows = np.flatnonzero(labelled[:, 0])
        low, high = task.moment_limits()
        scores = of_numbers(prediction.select(rows), labels[rows, 0], float(high[0] - low[0]))
        made.append(_of_everybody(scores, least))
    else:
        raise task.mismatch(prediction)
    return {name: np.stack([sums[name] for sums in made]) for name in made[0]}


def _of_events(scores: Array, weights: Array, happened: Mask, least: int) -> dict[str, Array]:
    events, patients = int(happened.sum()), len(scores)
    if not are_apart(events, patients, least):
        return _sums(patients, least, 0, merged_steps(scores[:0], weights[:0], least))
    return _sums(patients, least, events, merged_steps(scores[happened], weights[happened], least))


def _of_everybody(scores: Array, least: int) -> dict[str, Array]:
    return _sums(len(scores), least, len(scores), merged_steps(scores, np.ones(len(scores)), least))


def _sums(patients: int, least: int, events: int, merged: Array) -> dict[str, Array]:
    if patients < least:
        patients, least, events = 0, 0, 0
    return {
        "patients": np.array(float(patients)),
        "least": np.array(float(least)),
        "events": np.array(float(events)),
        "steps": merged,
    }
