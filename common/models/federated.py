"""Base class of all models of patients.

Training, clipping, averaging and the egress gate know a model through this class alone: nothing outside this room reads
the meaning of a parameter from its name.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch

Logits = dict[str, Tensor]
"""Task -> logits [B, outputs]."""


class TrainingOutputs(NamedTuple):
    """Logits by task, and the distance [B] of two dropout views where the agreement asks."""

    logits: Logits
    disagreement: Tensor | None = None


class FederatedModel(SharedModel):
    """Model from a batch of B patients to logits by task.

    A subclass is built from the agreement and its graphs and defines `forward`; the rest has a default. A model in
    which every parameter is trained by every patient needs no more; one with parts for a modality or a task says so
    in `describe`, so that a hospital without the modality has no say in that part.

    For private training a patient's output may depend on that patient alone, and parameters lie in `nn.Linear` and
    `nn.LayerNorm` with the patient as first dimension (`common.privacy.guarantee`).

    Attributes:
        federation: the agreement.
        views: forward passes of a patient in `training_outputs`; 2 where `training.contrastive_weight` has two dropout
            views compared.
    """

    views = 1

    def __init__(self, federation: Federation, prior: Prior) -> None:
        super().__init__()
        self.federation = federation
        self.log_variance: nn.Parameter | None = None
        if federation.training.learn_task_weights and len(federation.tasks) > 1:
            self.log_variance = nn.Parameter(torch.zeros(len(federation.tasks)))

    @abstractmethod
    def forward(self, batch: PatientBatch) -> Logits:
        """Compute logits [B, outputs] by task."""

    @classmethod
    def describe(cls, federation: Federation, parameters: Iterable[str]) -> ModelGroups:
        """Return averaging groups of this class's parameters by name.

        Names suffice, without graphs and weights: the egress gate and the coordinator build no model for it.
        """
        return ModelGroups(dict.fromkeys(parameters, ParameterGroup.SHARED))

    def groups(self) -> ModelGroups:
        """Return averaging groups of this model's parameters."""
        return self.describe(self.federation, self.state_dict())

    @property
    def task_weights(self) -> Tensor | None:
        """Return learnt log variances [tasks] of the losses; None where tasks count alike.

        `multitask_loss` uses them.
        """
        return self.log_variance

    def training_outputs(self, batch: PatientBatch) -> TrainingOutputs:
        """Compute logits, and the disagreement of two views where the agreement asks for it."""
        return TrainingOutputs(self(batch))

    def linear_forward(self) -> Callable[[PatientBatch], Logits] | None:
        """Return a cheaper `forward` for training the linear part alone; None without one.

        At the present weights its logits are those of `forward`.
        """
        return None

    def example(self) -> PatientBatch:
        """Make up a patient with every modality and no label.

        The tensors have the model's device and precision.
        """
        weight = next(self.parameters())
        nodes = {modality.name: len(modality.nodes) for modality in self.federation.modalities}
        values = {name: torch.zeros(1, count, dtype=weight.dtype) for name, count in nodes.items()}
        observed = {name: torch.ones(1, count, dtype=torch.bool) for name, count in nodes.items()}
        return PatientBatch(values, observed, {}, {}).to(weight.device)
