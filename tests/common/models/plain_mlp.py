"""Multilayer perceptron on all values of a patient side by side, as a model from outside the package."""

import torch
from pydantic import Field
from torch import nn

from common.agreement.federation import Federation
from common.agreement.model_config import ModelConfig
from common.models.federated import FederatedModel, Logits
from common.models.graphs import Prior
from common.models.registry import register_model
from common.patients.batch import PatientBatch


class PlainMLPConfig(ModelConfig):
    """Size of the perceptron."""

    kind = "plain-mlp"

    hidden: int = Field(default=16, ge=1)


class PlainMLP(FederatedModel):
    """One hidden layer over values and observed flags [B, 2 x nodes], and a linear map to the logits of all tasks."""

    def __init__(self, federation: Federation, prior: Prior) -> None:
        super().__init__(federation, prior)
        hidden = PlainMLPConfig.of(federation.model).hidden
        nodes = sum(len(modality.nodes) for modality in federation.modalities)
        self.outputs = {task.name: task.outputs for task in federation.tasks}
        self.body = nn.Sequential(nn.Linear(2 * nodes, hidden), nn.LayerNorm(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, sum(self.outputs.values()))

    def forward(self, batch: PatientBatch) -> Logits:
        """Task -> logits [B, outputs]."""
        observed = torch.cat([batch.observed[name] for name in batch.values], dim=1)
        values = torch.cat(list(batch.values.values()), dim=1) * observed
        logits = self.head(self.body(torch.cat([values, observed.to(values.dtype)], dim=1)))
        return dict(zip(self.outputs, logits.split(list(self.outputs.values()), dim=1), strict=True))


def register() -> None:
    """Let federation files name `kind = "plain-mlp"`."""
    register_model(PlainMLPConfig, PlainMLP)
