"""Fourth kind of task, as a stranger would write it: a number, by squared error on federated moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from common.errors import InvalidContentError
from common.evaluation.moments import mean_and_deviation
from common.evaluation.pairs import Pairs, concordance_pairs, on_either_side
from common.evaluation.predictions import Array, Mask, Patients, Prediction
from common.tasks.labels import LabelProblem
from common.tasks.registry import register
from common.tasks.task import Metric, OutcomeForm, Task


@dataclass(frozen=True)
class NumberPrediction(Prediction):
    """Predicted number of P patients, [P] float64."""

    value: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.value[patients])

    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and others."""
        return type(self)(np.concatenate([self.value, *(other.value for other in others)]))


@register
class ExtentTask(Task):
    """A number between `low` and `high`, standardised by the federation's mean and spread."""

    form: ClassVar = OutcomeForm.OTHER
    metrics: ClassVar = {"r2": Metric("R²"), "mse": Metric("Mean squared error", lower_is_better=True)}

    kind: Literal["extent"] = "extent"
    target: str
    low: float
    high: float
    unit: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.target,)

    @property
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        outside = ((labels < self.low) | (labels > self.high)).any()
        problem = LabelProblem(self.target, "has numbers outside the plausible range", "check the unit")
        return labels, [problem] if outside else []

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        return {}

    def happened(self, labels: Tensor) -> Tensor:
        return torch.ones(len(labels), dtype=torch.bool)

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        return rng.uniform(self.low, self.high, size=(patients, 1))

    @property
    def outputs(self) -> int:
        return 1

    @property
    def score_width(self) -> int:
        return 1

    @property
    def neutral_bias(self) -> float:
        return 0.0

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        assert prepared is not None
        return (logits[:, 0] - (labels[:, 0] - prepared[0]) / prepared[1]).square() * labelled[:, 0]

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        assert prepared is not None
        return NumberPrediction((logits[:, 0] * prepared[1] + prepared[0]).double().numpy())

    @property
    def moment_columns(self) -> int:
        return 1

    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        return labels.double(), labelled

    def moment_ends(self) -> tuple[Array, Array]:
        return np.array([self.low]), np.array([self.high])

    @property
    def prepared_size(self) -> int:
        return 2

    def prepared_of(self, moments: Array) -> Tensor:
        if moments[0, 0] == 0:
            raise InvalidContentError(f"task {self.name}", "no site has enough patients", "add hospitals")
        mean, deviation = mean_and_deviation(moments)
        return torch.tensor([mean[0], max(deviation[0], 1e-6)], dtype=torch.float32)

    def declared(self) -> Tensor:
        return torch.tensor([(self.low + self.high) / 2, (self.high - self.low) / 4])

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        known = labelled[:, 0]
        number, rank = labels[known, 0].double().numpy(), -logits[known, 0].double().numpy()
        everyone = np.ones(len(number), dtype=np.bool_)
        if on_either_side(number, everyone) < least:
            return Pairs.none()
        return concordance_pairs(number, everyone, rank)

    def fewest_pairs(self, least: int) -> int:
        return least * (least - 1) // 2

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        if not isinstance(prediction, NumberPrediction):
            raise self.mismatch(prediction)
        known = labelled[:, 0]
        truth, value = labels[known, 0], prediction.value[known]
        error, spread = float(np.mean((value - truth) ** 2)), float(np.var(truth))
        return {"r2": 1 - error / spread if spread else float("nan"), "mse": error}

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        return self.scores(prediction, labels, labelled, labels, labelled)["r2"]

    @property
    def outcome_names(self) -> tuple[str, ...]:
        return ()

    @property
    def outcome_unit(self) -> str:
        return self.unit
