"""Fifth kind of task, as a stranger would write it: a count, by Poisson deviance around the federation's mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from common.errors import InvalidContentError
from common.evaluation.pairs import Pairs, floored_pairs
from common.evaluation.predictions import Array, Mask, Patients, Prediction
from common.tasks.labels import LabelProblem
from common.tasks.registry import register
from common.tasks.task import Metric, OutcomeForm, Task

REACH = 10.0
"""Largest logarithm by which a patient's mean differs from that of all: no weight makes a loss infinite."""

LEAST_MEAN = 1e-3
"""Least mean of all patients, which noise must not bring to 0 or below."""


@dataclass(frozen=True)
class CountPrediction(Prediction):
    """Expected count of P patients, [P] float64."""

    mean: Array

    def select(self, patients: Patients) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.mean[patients])

    def followed_by(self, others: Sequence[Self]) -> Self:
        """Join these patients and others."""
        return type(self)(np.concatenate([self.mean, *(other.mean for other in others)]))


def deviance(count: Tensor, log_mean: Tensor) -> Tensor:
    """Return half the Poisson deviance, y log(y / m) - y + m: at least 0, as the negative log-likelihood is not."""
    return torch.xlogy(count, count) - count * log_mean - count + log_mean.exp()


@register
class CountTask(Task):
    """A count of up to `most`, such as metastases; its logit is added to the logarithm of the federation's mean."""

    form: ClassVar = OutcomeForm.OTHER
    metrics: ClassVar = {
        "d2": Metric("Deviance explained"),
        "deviance": Metric("Mean Poisson deviance", lower_is_better=True),
    }
    outputs: ClassVar = 1
    score_width: ClassVar = 1
    neutral_bias: ClassVar = 0.0
    moment_columns: ClassVar = 1
    prepared_size: ClassVar = 1
    classes_of: ClassVar = {}
    outcome_names: ClassVar = ()

    kind: Literal["count"] = "count"
    target: str
    most: int = Field(ge=1, le=1_000_000)
    usual: float = Field(gt=0, description="mean from public knowledge, where the federation shares none")
    unit: str = ""

    @model_validator(mode="after")
    def _usual_is_possible(self) -> Self:
        if self.usual > self.most:
            raise ValueError("usual must be no more than most")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.target,)

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        known = labels[~np.isnan(labels)]
        faults = (
            ((known != np.floor(known)).any(), "has numbers that are no counts", "give whole numbers"),
            ((known < 0).any(), "has counts below 0", "correct or drop them"),
            ((known > self.most).any(), f"has counts above {self.most}", "check what is counted"),
        )
        return labels, [LabelProblem(self.target, what, remedy) for wrong, what, remedy in faults if wrong]

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        return {"above 0": int(self.happened(labels).sum())}

    def happened(self, labels: Tensor) -> Tensor:
        return labels[:, 0] > 0

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        mean = self.usual if prepared is None else float(prepared[0].exp())
        return rng.poisson(mean, size=(patients, 1)).clip(0, self.most).astype(np.float64)

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        return deviance(labels[:, 0], self._log_mean(logits, prepared)) * labelled[:, 0]

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        return CountPrediction(self._log_mean(logits, prepared).exp().double().numpy())

    @staticmethod
    def _log_mean(logits: Tensor, prepared: Tensor | None) -> Tensor:
        assert prepared is not None
        return logits[:, 0].clamp(-REACH, REACH) + prepared[0]

    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        return labels.double(), labelled

    def moment_ends(self) -> tuple[Array, Array]:
        return np.zeros(1), np.array([float(self.most)])

    def moment_limits(self) -> tuple[Array, Array]:
        return self.moment_ends()

    def prepared_of(self, moments: Array) -> Tensor:
        if moments[0, 0] <= 0:
            raise InvalidContentError(f"task {self.name}", "no site has enough patients", "add hospitals")
        return self._prepared(float(moments[1, 0] / moments[0, 0]))

    def declared(self) -> Tensor:
        return self._prepared(self.usual)

    def _prepared(self, mean: float) -> Tensor:
        return torch.tensor([np.log(np.clip(mean, LEAST_MEAN, self.most))], dtype=torch.float32)

    def is_plausible(self, prepared: Tensor, moments: Array | None, share: Array | None) -> bool:
        low, high = np.log([LEAST_MEAN, self.most]).astype(np.float32)
        return bool(low <= prepared[0] <= high)

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        known = labelled[:, 0]
        count, rank = labels[known, 0].double().numpy(), -logits[known, 0].double().numpy()
        return floored_pairs(count, np.ones(len(count), dtype=np.bool_), rank, least)

    def fewest_pairs(self, least: int) -> int:
        return least * (least - 1) // 2

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        if not isinstance(prediction, CountPrediction):
            raise self.mismatch(prediction)
        known = labelled[:, 0]
        truth, mean = torch.from_numpy(labels[known, 0]), torch.from_numpy(prediction.mean[known])
        model, null = (2 * float(deviance(truth, each.log()).mean()) for each in (mean, truth.mean()))
        return {"d2": 1 - model / null if null > 0 else float("nan"), "deviance": model}

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        return self.scores(prediction, labels, labelled, labels, labelled)["d2"]

    @property
    def outcome_unit(self) -> str:
        return self.unit
