"""Comparisons of a model's outputs."""

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Equal to the last bit, and in the same order."""
    assert list(first) == list(second)
    for name, logits in first.items():
        assert torch.equal(logits, second[name])


def loss_of(
    model: HierarchicalMultimodalGNN, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """The loss of all tasks."""
    return multitask_loss(federation.tasks, model(batch), batch, cuts, model.log_variance).sum()
