"""Predictions of patients by kind of task, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


Mask = NDArray[np.bool_]


Patients = NDArray[np.intp] | Mask


@dataclass(frozen=True)
class SurvivalPrediction:
    """Predicted survival of P patients.

    Attributes:
        risk: [P] float64, higher for an earlier expected event.
        times: [T] float64, positive and increasing, in the task's unit; the same for all patients.
        survival: [P, T] float64, probability of no event up to and including each time.
    """

    risk: Array
    times: Array
    survival: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.risk[patients], self.times, self.survival[patients])

    def at(self, times: ArrayLike) -> Array:
        """Survival [P, K] at K times: linear from 1 at time 0, constant after the last time.

        Linear is the constant-density interpolation of Kvamme & Borgan (2021), Continuous and discrete-time
        survival prediction with neural networks.
        """
        wanted = np.asarray(times, dtype=np.float64)
        times_from_zero = np.concatenate([[0.0], self.times])
        curves = np.concatenate([np.ones((len(self.survival), 1)), self.survival], axis=1)
        right = np.clip(np.searchsorted(times_from_zero, wanted), 1, len(times_from_zero) - 1)
        share = np.clip(
            (wanted - times_from_zero[right - 1]) / (times_from_zero[right] - times_from_zero[right - 1]),
            0.0,
            1.0,
        )
        between: Array = curves[:, right - 1] * (1 - share) + curves[:, right] * share
        return between


@dataclass(frozen=True)
class _Probabilities:
    probability: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.probability[patients])


class ClassPrediction(_Probabilities):
    """Probability of each of C classes: [P, C] float64, rows summing to 1."""


class LabelPrediction(_Probabilities):
    """Probability of each of L adverse events: [P, L] float64."""


Prediction = SurvivalPrediction | ClassPrediction | LabelPrediction


def concatenate(predictions: Sequence[Prediction]) -> Prediction:
    """Join predictions of one task, in order.

    Raises:
        ValueError: if they are of different kinds, or of survival at different times.
    """
    first = predictions[0]
    if isinstance(first, SurvivalPrediction):
        curves = [prediction for prediction in predictions if isinstance(prediction, SurvivalPrediction)]
        if len(curves) < len(predictions) or any(not np.array_equal(first.times, c.times) for c in curves):
            raise ValueError("predictions of survival must all be at the same times")
        risk, survival = (
            np.concatenate(parts) for parts in zip(*((c.risk, c.survival) for c in curves), strict=True)
        )
        return SurvivalPrediction(risk, first.times, survival)
    same = [prediction.probability for prediction in predictions if isinstance(prediction, type(first))]
    if len(same) < len(predictions):
        raise ValueError("predictions must all be of the same kind")
    return type(first)(np.concatenate(same))
