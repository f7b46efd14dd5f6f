"""Expected outcomes at several levels of the log-odds, and predictions moved by a level.

A calibrated probability is `sigmoid(logit + level)`. The mean over a hospital's patients as the level moves is smooth
on the logit scale, where a few nodes give it for every level between.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from common.calibration.shapes import NODES, SAME_LEVEL
from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction

Array = NDArray[np.float64]

_SMALLEST = 1e-9


def expected_at_nodes(probability: Array) -> Array:
    """Return the probabilities [P, nodes] of patients [P] at every level of `NODES`."""
    moved: Array = expit(_logit(probability)[:, None] + np.array(NODES))
    return moved


def share_at(levels: Array, nodes: Array, others: Array | None) -> Array:
    """Return a hospital's expected share at levels.

    Args:
        levels: [L].
        nodes: [nodes] mean probability at every level of `NODES`; 0 where a hospital has too few patients to tell.
        others: [nodes] those of the other hospitals, whose course is then taken; None where nobody tells it.
    """
    middle = _logit(nodes[SAME_LEVEL : SAME_LEVEL + 1])
    if (nodes > 0).all():
        course = _logit(nodes)
    elif others is not None:
        course = middle + _logit(others) - _logit(others[SAME_LEVEL : SAME_LEVEL + 1])
    else:
        course = middle + np.array(NODES)
    shares: Array = expit(np.interp(levels, NODES, course))
    return shares


def moved_classes(prediction: ClassPrediction, levels: Array) -> ClassPrediction:
    """Multiply the odds of every class by `exp(level)` [classes], and scale to a sum of 1."""
    weights = prediction.probability * np.exp(levels)
    return ClassPrediction(weights / weights.sum(axis=1, keepdims=True))


def moved_labels(prediction: LabelPrediction, levels: Array) -> LabelPrediction:
    """Move the logit of every label by its level [labels]; 0 and 1 stay."""
    return LabelPrediction(expit(logit(prediction.probability) + levels))


def moved_numbers(prediction: NumberPrediction, offset: float, low: float, high: float) -> NumberPrediction:
    """Move numbers by an offset, within the plausible range."""
    return NumberPrediction((prediction.value + offset).clip(low, high))


def _logit(probability: Array) -> Array:
    numbers: Array = logit(probability.clip(_SMALLEST, 1 - _SMALLEST))
    return numbers
