"""Choice of how many patients fit in one step on a device.

The memory of one patient is measured on the model, so that it follows whatever the layers keep. Free memory comes from
the GPU, or from the operating system and the limits of the container.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from client.training.device import SHARED, Device
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


_MEMINFO, _CGROUPS, _MEMBERSHIP = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


# Limit, use, and what of it the kernel would give up; version 2 and version 1 of the kernel's interface.
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


R = TypeVar("R", bound=Records)


_measured: WeakKeyDictionary[nn.Module, dict[tuple[torch.dtype, int], int]] = WeakKeyDictionary()


def patients_at_once(model: SharedModel, device: Device, private: bool = False) -> int:
    """Return how many patients a step has room for; at least one, which is then tried.

    Args:
        model: on the device.
        device: where, and shared with how many.
        private: whether gradients are kept per patient.
    """
    per_patient = PASSES * kept_per_patient(model)
    if private:  # as computed, side by side, and weighted
        per_patient += 3 * sum(
            parameter.nbytes for parameter in model.parameters() if parameter.requires_grad
        )
    return max(1, int(USED * free_bytes(device) / per_patient))


def placed(batch: R, device: Device) -> R:
    """Move the batch to the device if that leaves room to compute."""
    return batch.to(device.torch_device) if batch.size <= RESIDENT * free_bytes(device) else batch


def free_bytes(device: Device) -> int:
    """Return the memory that this process may still take on a device."""
    if device.torch_device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device.torch_device)
        allocated = torch.cuda.memory_allocated(device.torch_device)
        free += torch.cuda.memory_reserved(device.torch_device) - allocated
        return min(free, int(SHARED * total / device.sharing) - allocated) if device.sharing > 1 else free
    return min([_available(), *_within_limits()]) // device.sharing


def _available() -> int:
    """Return the bytes that the operating system could give without swapping."""
    if _MEMINFO.is_file():
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _within_limits() -> Iterator[int]:
    """Yield the bytes left below the limit of every control group of this process."""
    if not _MEMBERSHIP.is_file():
        return
    for line in _MEMBERSHIP.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for folder, limit, used, reclaimable in _LIMITS:
            if folder not in controllers.split(","):
                continue
            # In a container the path may be one of the host's: what is mounted is then the group itself.
            group = PurePosixPath(path.lstrip("/"))
            for ancestor in {_CGROUPS / folder / part for part in (group, *group.parents)}:
                yield from _left(ancestor / limit, ancestor / used, ancestor / "memory.stat", reclaimable)


def _left(limit: Path, used: Path, stat: Path, reclaimable: str) -> Iterator[int]:
    try:
        most, taken = limit.read_text().strip(), int(used.read_text())
        parts = dict(line.split() for line in stat.read_text().splitlines())
    except OSError:  # no such group here, or the root, which has no limit
        return
    if most != "max":
        yield max(0, int(most) - taken + int(parts.get(reclaimable, 0)))


def kept_per_patient(model: SharedModel) -> int:
    """Return the bytes that autograd keeps for one made-up patient with every modality.

    Measured once per model, without a draw from any generator, and in a fraction of a step's time.
    """
    parameters = list(model.parameters())
    key = (parameters[0].dtype, sum(parameter.numel() for parameter in parameters if parameter.requires_grad))
    measured = _measured.setdefault(model, {})
    if key not in measured:
        measured[key] = _measure(model) * model.views
    return measured[key]


def _measure(model: SharedModel) -> int:
    patient, training = model.example(), model.training
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
            model(patient)
    finally:
        model.train(training)
    return patient.size + sum(kept.values())
