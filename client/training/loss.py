"""Loss of a model per patient, and a check for finite values."""

from collections.abc import Sequence

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.tasks.objective import agreement_loss, multitask_loss


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether all numbers of tensors on one device are finite; asked once for all of them."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


def patient_loss(
    model: HierarchicalMultimodalGNN, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """Training loss per patient [B]; with the contrastive term, two dropout views of every patient are compared."""
    encoding = model.encode(batch)
    loss = multitask_loss(federation.tasks, model.predict(encoding), batch, cuts, model.log_variance)
    if model.predictor is not None:
        fused, other = encoding.fused, model.encode(batch).fused
        agreement = agreement_loss(model.predictor(fused), other) + agreement_loss(
            model.predictor(other), fused
        )
        loss = loss + federation.training.contrastive_weight / 2 * agreement
    return loss
