"""Predictions of patients by kind of task, as arrays."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


Mask = NDArray[np.bool_]


Patients = NDArray[np.intp] | Mask


class Prediction(ABC):
    """Predictions for P patients of one task."""

    @abstractmethod
    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""

    @abstractmethod
    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and those of other predictions of the same class, in order.

        Raises:
            ValueError: if the predictions cannot stand in one array.
        """


@dataclass(frozen=True)
class SurvivalPrediction(Prediction):
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

    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and others, whose survival must be at the same times."""
        if any(not np.array_equal(self.times, other.times) for other in others):
            raise ValueError("predictions of survival must all be at the same times")
        curves = [self, *others]
        risk = np.concatenate([curve.risk for curve in curves])
        return type(self)(risk, self.times, np.concatenate([curve.survival for curve in curves]))

    def at(self, times: ArrayLike) -> Array:
        """Survival [P, K] at K times: linear from 1 at time 0, constant after the last time.

        Linear is the constant-density interpolation of Kvamme & Borgan (2021), Continuous and discrete-time
        survival prediction with neural networks.
        """
        ends, curves = self.from_start()
        right, share = _between(ends, np.asarray(times, dtype=np.float64))
        survival: Array = curves[:, right - 1] * (1 - share) + curves[:, right] * share
        return survival

    def at_each(self, time: Array) -> Array:
        """Survival [P] of every patient at one time each [P], between times as in `at`."""
        (ends, curves), rows = self.from_start(), np.arange(len(time))
        right, share = _between(ends, time)
        survival: Array = curves[rows, right - 1] * (1 - share) + curves[rows, right] * share
        return survival

    def from_start(self) -> tuple[Array, Array]:
        """Return times [T + 1] from 0, and survival [P, T + 1] from 1."""
        start = np.ones((len(self.survival), 1))
        return np.concatenate([[0.0], self.times]), np.concatenate([start, self.survival], axis=1)


def _between(ends: Array, times: Array) -> tuple[NDArray[np.intp], Array]:
    """Index of the end on the right of every time, and the share of its interval before it."""
    right = np.clip(np.searchsorted(ends, times), 1, len(ends) - 1)
    share: Array = np.clip((times - ends[right - 1]) / (ends[right] - ends[right - 1]), 0.0, 1.0)
    return right, share


@dataclass(frozen=True)
class _Probabilities(Prediction):
    probability: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.probability[patients])

    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and others."""
        return type(self)(np.concatenate([self.probability, *(other.probability for other in others)]))


class ClassPrediction(_Probabilities):
    """Probability of each of C classes: [P, C] float64, rows summing to 1."""


class LabelPrediction(_Probabilities):
    """Probability of each of L adverse events: [P, L] float64."""


@dataclass(frozen=True)
class NumberPrediction(Prediction):
    """Predicted number of P patients, [P] float64, in the task's unit."""

    value: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.value[patients])

    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and others."""
        return type(self)(np.concatenate([self.value, *(other.value for other in others)]))


def concatenate(predictions: Sequence[Prediction]) -> Prediction:
    """Join predictions of one task, in order.

    Raises:
        ValueError: if they are of different kinds, or of survival at different times.
    """
    first, *others = predictions
    if any(type(other) is not type(first) for other in others):
        raise ValueError("predictions must all be of the same kind")
    return first.followed_by(others)
