"""Predictions of held-out patients, as kept for the report's curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import Task

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Held-out patients of one fold: labels and labelled [P, columns], predictions, a group for each."""

    labels: Array
    labelled: NDArray[np.bool_]
    prediction: Prediction
    groups: Sequence[str]


@dataclass(frozen=True)
class TaskEvidence:
    """One task's held-out patients, fold by fold, with the federated model's predictions."""

    task: Task
    folds: Sequence[HeldOut]


@dataclass(frozen=True)
class Evidence:
    """All that the report draws curves from, by task; it lives in memory only."""

    tasks: Mapping[str, TaskEvidence]
