"""Training loss of a model of patients, per patient."""

from collections.abc import Callable

from torch import Tensor

from common.agreement.federation import Federation
from common.models.federated import FederatedModel, Logits
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss


def patient_loss(
    model: FederatedModel, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """Compute the training loss per patient [B].

    It is the tasks' loss, plus the disagreement of two views where there are two.
    """
    outputs = model.training_outputs(batch)
    loss = multitask_loss(federation.tasks, outputs.logits, batch, cuts, model.task_weights)
    if outputs.disagreement is not None:
        loss = loss + federation.training.contrastive_weight / 2 * outputs.disagreement
    return loss


def linear_loss(
    linear: Callable[[PatientBatch], Logits],
    batch: PatientBatch,
    federation: Federation,
    cuts: dict[str, Tensor],
) -> Tensor:
    """Compute the training loss per patient [B] by the forward pass of a model's linear part."""
    return multitask_loss(federation.tasks, linear(batch), batch, cuts, None)
