"""Predictions for held-out patients, kept for the report's curves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import Task

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutPatients:
    """Held-out patients of one fold: labels, masks [P, columns], predictions, groups, hospitals."""

    labels: Array
    labelled: NDArray[np.bool_]
    prediction: Prediction
    groups: Sequence[str]
    hospitals: Sequence[str] = ()


@dataclass(frozen=True)
class TaskEvidence:
    """Held-out patients of one task, fold by fold, with the federated model's predictions."""

    task: Task
    folds: Sequence[HeldOutPatients]
