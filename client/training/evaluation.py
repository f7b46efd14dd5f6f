"""Validation sums of one hospital: losses and concordant pairs."""

import torch
from torch import Tensor

from client.training.device import CPU, Device
from client.training.memory import patients_at_once
from client.training.round import Round
from common.messages.validation import ValidationSums
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss


@torch.no_grad()
def logits(
    model: FederatedModel, batch: PatientBatch, size: int = 256, device: Device = CPU
) -> dict[str, Tensor]:
    """Return logits [P, outputs] by task of the model in evaluation mode, on the CPU as the batch is.

    They are computed for `size` patients at once, fewer if the device has no room.
    """
    model.eval()
    size = min(size, patients_at_once(model, device))
    with device.repeatable():
        parts = [model(batch.select(rows).to(device.place)) for rows in torch.arange(len(batch)).split(size)]
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}


def evaluate(
    model: FederatedModel,
    batch: PatientBatch,
    round_: Round,
    least: int = 1,
) -> ValidationSums:
    """Sum losses and pairs over one site's patients, who are on the CPU.

    Pairs with fewer than `least` patients on either side count as none: one event among nine patients makes eight
    pairs, which all tell of that patient.
    """
    outputs = logits(model, batch, device=round_.device)
    tasks = round_.federation.tasks
    loss = multitask_loss(tasks, outputs, batch, round_.cuts, None)
    pairs = {
        task.name: task.pairs(outputs[task.name], batch.labels[task.name], batch.labelled[task.name], least)
        for task in tasks
    }
    return ValidationSums(float(loss.sum()), float(loss.square().sum()), float(len(batch)), pairs)
