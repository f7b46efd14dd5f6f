"""Held-out patients of one fold, scored by the metrics of a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import OutcomeForm, Task
from simulations.families.study import Rows


@dataclass(frozen=True)
class HeldOutTask:
    """Held-out patients of one fold for one task, with the predictions of every arm.

    Attributes:
        labels, labelled: [P, columns] labels and masks of the held-out patients.
        train_labels, train_labelled: labels and masks of the training patients.
        groups: subgroup of each held-out patient.
        divisions: division -> group of each held-out patient.
        arms: arm -> its models' predictions; `local` has one model per hospital, the others one.
    """

    task: Task
    labels: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    train_labels: NDArray[np.float64]
    train_labelled: NDArray[np.bool_]
    groups: tuple[str, ...]
    arms: dict[str, Sequence[Prediction]]
    divisions: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of held-out patients."""
        return len(self.labels)

    def scores(self, prediction: Prediction, rows: Rows | None = None) -> dict[str, float]:
        """Score one model by every metric over the patients at `rows`, or over all."""
        rows = np.arange(len(self.labels)) if rows is None else rows
        return self.task.scores(
            prediction.select(rows),
            self.labels[rows],
            self.labelled[rows],
            self.train_labels,
            self.train_labelled,
        )

    def events(self, rows: Rows) -> int | None:
        """Count the patients at `rows` with the event, or a case; None for a task of another form."""
        if self.task.form in (OutcomeForm.NUMBER, OutcomeForm.OTHER):
            return None
        labels, labelled = torch.from_numpy(self.labels[rows]), torch.from_numpy(self.labelled[rows])
        return int((self.task.happened(labels) & labelled.any(1)).sum())

    def fewest(self, rows: Rows) -> int | None:
        """Count the patients at `rows` with the outcome that fewest have.

        Outcomes are the event, and for classes and labels also none of it.
        """
        events = self.events(rows)
        if events is None or self.task.form is OutcomeForm.TIME_TO_EVENT:
            return events
        return min(events, int(self.labelled[rows].any(1).sum()) - events)

    def headline(self, prediction: Prediction, rows: Rows | None = None) -> float:
        """Score one model by the headline metric."""
        rows = np.arange(len(self.labels)) if rows is None else rows
        return self.task.headline(prediction.select(rows), self.labels[rows], self.labelled[rows])
