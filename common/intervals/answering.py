"""Sets and ranges of predictions by the thresholds of a table."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def class_sets(prediction: ClassPrediction, threshold: float) -> Mask:
    """Return the possible classes [P, C]: as probable as the threshold, and the likeliest."""
    probability = prediction.probability
    possible: Mask = (probability >= threshold) | (probability == probability.max(axis=1, keepdims=True))
    return possible


def label_sets(prediction: LabelPrediction, column: int, threshold: float) -> tuple[Mask, Mask]:
    """Return whether the adverse event, and whether its absence, is possible [P]."""
    probability = prediction.probability[:, column]
    happens, stays_out = probability >= threshold, 1 - probability >= threshold
    return happens | (probability >= 0.5), stays_out | (probability < 0.5)


@dataclass(frozen=True)
class Range:
    """Ends of an interval [P], in the task's unit."""

    low: Array
    high: Array


def number_ranges(prediction: NumberPrediction, threshold: float, low: float, high: float) -> Range:
    """Return the interval around a number, within the plausible range."""
    reach = (1 - threshold) ** 2 * (high - low)
    return Range((prediction.value - reach).clip(low, high), (prediction.value + reach).clip(low, high))
