"""Clipped sums over a sample, in slots of a constant shape that no patient can change.

A library of products chooses its kernel, and with it the rounding, by the number of rows. Whoever knows the kernels
can choose weights that make a last bit decide where a gradient points; one patient less would then turn the gradients
of all others. So a sample is computed in slots of a constant number of rows, filled up with nobody, and inside a slot
the parts of a model that only some patients have are computed in slots again. That a row's bits depend neither on its
place nor on the other rows is left to the machine: `client.privacy.arithmetic` looks for a size of which it is true.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from client.privacy.clipping import PatientGradients
from common.models.shared import PartialModule
from common.records import Records, moved

R = TypeVar("R", bound=Records)


@dataclass(frozen=True)
class Slot:
    """Constant numbers of rows.

    Attributes:
        units: patients whose gradients are computed together.
        fewest: patients that a part of the model computes together at least, where more are no quicker.
    """

    units: int
    fewest: int

    def of(self, part: PartialModule) -> int:
        """Return the rows of a part: a power of two between the slot's two numbers."""
        return min(self.units, max(self.fewest, 1 << (part.worthwhile.bit_length() - 1)))


@contextmanager
def in_slots(model: nn.Module, slot: Slot) -> Iterator[None]:
    """Make the model's parts compute in slots inside."""
    parts = [module for module in model.modules() if isinstance(module, PartialModule)]
    before = [part.slot for part in parts]
    for part in parts:
        part.slot = slot.of(part)
    try:
        yield
    finally:
        for part, size in zip(parts, before, strict=True):
            part.slot = size


def clipped_sums(
    gradients: PatientGradients,
    drawn: R,
    loss: Callable[[R], Tensor],
    slot: Slot,
    clip_norm: float,
) -> list[Tensor]:
    """Sum the clipped gradients of a sample, for every trained parameter in float64.

    Nobody's sum is 0, and then the loss is not asked.

    Args:
        gradients: watches the model that `loss` uses.
        drawn: a sample, on any device.
        loss: gives one value per patient of a batch [B].
        slot: numbers of rows of which this machine rounds every row alike.
        clip_norm: largest norm of one patient's gradient over all parameters.
    """
    device = gradients.parameters[0].device
    sums = gradients.no_sum()
    with in_slots(gradients.model, slot):
        for rows in torch.arange(len(drawn)).split(slot.units) if len(drawn) else ():
            records = drawn.select(rows).padded(slot.units).to(device)
            counted = moved(torch.arange(slot.units) < len(rows), device)
            gradients.clipped_sum(partial(loss, records), slot.units, clip_norm, counted, sums)
    return sums
