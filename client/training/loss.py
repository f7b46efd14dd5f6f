"""Loss of a model per patient, and a check for finite values."""

from collections.abc import Sequence

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Return whether all numbers of tensors on one device are finite, asking the device once."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


def patient_loss(
    model: FederatedModel, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """Compute the training loss per patient [B]: tasks, and the disagreement of two views where there are two."""
    outputs = model.training_outputs(batch)
    loss = multitask_loss(federation.tasks, outputs.logits, batch, cuts, model.task_weights)
    if outputs.disagreement is not None:
        loss = loss + federation.training.contrastive_weight / 2 * outputs.disagreement
    return loss
