"""Scores of patients' outcomes under a prediction, low where the outcome is a surprise.

Of a time it is the model's probability of an event before it, so that a lower bound fails where the score is below its
level; of classes and labels the probability of the true outcome; of a number 1 less the root of its distance from the
prediction, in widths of the plausible range.
"""

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    Mask,
    NumberPrediction,
    SurvivalPrediction,
)

Array = NDArray[np.float64]


def of_times(prediction: SurvivalPrediction, time: Array) -> Array:
    """Return the predicted probability [P] of an event before each patient's time."""
    return np.clip(1 - prediction.at_each(time), 0.0, 1.0)


def of_classes(prediction: ClassPrediction, index: Array) -> Array:
    """Return the probability [P] of the true class."""
    scores: Array = prediction.probability[np.arange(len(index)), index.astype(np.intp)]
    return scores


def of_label(prediction: LabelPrediction, column: int, happened: Mask) -> Array:
    """Return the probability [P] of what happened."""
    probability = prediction.probability[:, column]
    scores: Array = np.where(happened, probability, 1 - probability)
    return scores


def of_numbers(prediction: NumberPrediction, number: Array, width: float) -> Array:
    """Return the score [P] of a number that lies some widths from the prediction."""
    scores: Array = 1 - np.sqrt((np.abs(prediction.value - number) / width).clip(0.0, 1.0))
    return scores


def lower_bound(prediction: SurvivalPrediction, level: float) -> Array:
    """Return the time [P] before which the model expects an event with probability `level`.

    It is the last time of the curves at most.
    """
    ends, curves = prediction.from_start()
    after = (curves > 1 - level).sum(axis=1)
    inside = after < curves.shape[1]
    right = after.clip(1, curves.shape[1] - 1)
    rows = np.arange(len(curves))
    before, behind = curves[rows, right - 1], curves[rows, right]
    share = ((before - (1 - level)) / (before - behind).clip(1e-12)).clip(0.0, 1.0)
    bound = ends[right - 1] + share * (ends[right] - ends[right - 1])
    bounds: Array = np.where(inside, bound, ends[-1])
    return bounds
