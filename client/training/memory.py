"""Number of units that fit in one step on a device.

The memory of one unit is measured on the model, so that it follows whatever the layers keep.
"""

from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from client.training.device import Device
from common.models.shared import SharedModel
from common.records import Records

USED = 0.7
"""Share of the free memory that a step may take."""


PASSES = 3.0
"""Memory at the height of a step, in units of what autograd keeps of the forward pass.

Gradients, index tensors and intermediate results come on top of that; see docs/performance.md, Devices.
"""


RESIDENT = 0.25
"""Share of the free memory that a cohort may take to stay on a GPU; a larger one is moved part by part."""


R = TypeVar("R", bound=Records)


_measured: WeakKeyDictionary[nn.Module, dict[tuple[torch.dtype, int], int]] = WeakKeyDictionary()


def units_at_once(model: SharedModel, device: Device, private: bool = False) -> int:
    """Return the number of units that a step has room for; at least one, which is then tried.

    Args:
        model: on the device.
        device: where, and shared with how many.
        private: whether gradients are kept per unit.
    """
    per_unit = PASSES * kept_per_unit(model)
    if private:  # as computed, side by side, and weighted
        per_unit += 3 * sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return max(1, int(USED * device.free_bytes() / per_unit))


def placed(batch: R, device: Device) -> R:
    """Move the batch to the device if that leaves room to compute."""
    return batch.to(device.torch_device) if batch.size <= RESIDENT * device.free_bytes() else batch


def kept_per_unit(model: SharedModel) -> int:
    """Return the bytes that autograd keeps for the model's example of a unit.

    Measured once per model, without a draw from any generator, and in a fraction of a step's time.
    """
    parameters = list(model.parameters())
    key = (parameters[0].dtype, sum(parameter.numel() for parameter in parameters if parameter.requires_grad))
    measured = _measured.setdefault(model, {})
    if key not in measured:
        measured[key] = _measure(model) * model.views
    return measured[key]


def _measure(model: SharedModel) -> int:
    unit, training = model.example(), model.training
    shared = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in shared:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.eval()  # dropout would draw
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model(unit)
    finally:
        model.train(training)
    return unit.size + sum(kept.values())
