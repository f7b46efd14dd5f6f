"""Validation sums of one hospital: losses and concordant pairs."""

import torch
from torch import Tensor

from client.training.device import CPU, Device
from client.training.memory import units_at_once
from client.training.round import Round
from common.messages.validation import ValidationSums
from common.models.shared import SharedModel
from common.records import Records


@torch.no_grad()
def logits(model: SharedModel, records: Records, size: int = 256, device: Device = CPU) -> dict[str, Tensor]:
    """Return named logits [U, outputs] of the model in evaluation mode, on the CPU.

    They are computed for `size` units at once, fewer if the device has no room.
    """
    model.eval()
    size = min(size, units_at_once(model, device))
    with device.repeatable():
        parts = [
            model(records.select(rows).to(device.torch_device))
            for rows in torch.arange(len(records)).split(size)
        ]
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}


def evaluate(
    model: SharedModel,
    records: Records,
    round_: Round,
    least: int = 1,
) -> ValidationSums:
    """Sum losses and pairs over one site's records, which are on the CPU.

    Pairs with fewer than `least` units on either side count as none.
    """
    outputs = logits(model, records, device=round_.device)
    return round_.family.evaluate(outputs, records, round_.federation, round_.prepared, least)
