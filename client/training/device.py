"""Device on which a hospital trains: CPU or GPU, precision, and how many processes share it.

All of it is the hospital's choice in `site.toml`, and no part of the federation file.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import torch

from client.site_folder.site_file import ASKED, Precision
from client.training.free_memory import free_memory
from common.errors import MachineError

log = logging.getLogger("consilium.device")


SHARED = 0.9
"""Share of a GPU's memory for all processes on it together; the rest is for their contexts."""


_PROCESSOR = torch.device("cpu")


_CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class DeviceFault(StrEnum):
    """Reasons for which a device cannot be used."""

    NOT_A_DEVICE = "not-a-device"
    TORCH_WITHOUT_CUDA = "torch-without-cuda"
    NO_GPU = "no-gpu"
    NO_SUCH_GPU = "no-such-gpu"
    DOES_NOT_COMPUTE = "does-not-compute"


class DeviceError(MachineError):
    """A device that is not there, or does not compute.

    Args:
        where: the key in a file or the option that asks for it.
        fault: the reason, for programs.
        what: the reason, in words.
        remedy: what to do next.
    """

    def __init__(self, where: str, fault: DeviceFault, what: str, remedy: str) -> None:
        super().__init__(where, what, remedy)
        self.fault = fault


@dataclass(frozen=True)
class Device:
    """A device and the way in which training uses it.

    Attributes:
        place: the CPU, or a GPU by its number.
        precision: of products in forward passes of training; parameters, losses and evaluation are float32.
        deterministic: refuse operations of which torch says that repetitions differ.
        sharing: processes that train beside one another on it, this one included.
    """

    torch_device: torch.device = _PROCESSOR
    precision: Precision = "float32"
    deterministic: bool = False
    sharing: int = 1

    def free_bytes(self) -> int:
        """Return the memory that this process may still take on the device."""
        if self.torch_device.type != "cuda":
            return free_memory() // self.sharing
        free, total = torch.cuda.mem_get_info(self.torch_device)
        allocated = torch.cuda.memory_allocated(self.torch_device)
        free += torch.cuda.memory_reserved(self.torch_device) - allocated
        return min(free, int(SHARED * total / self.sharing) - allocated) if self.sharing > 1 else free

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context for a forward pass and its loss."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Make training repeat bit by bit inside, if the device is `deterministic`."""
        before = torch.get_deterministic_debug_mode()
        if self.deterministic:
            # The same as use_deterministic_algorithms, which imports the compiler as well: a second per message.
            torch.set_deterministic_debug_mode("error")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Seed torch's generators inside, and put them back afterwards."""
        with torch.random.fork_rng(devices=[self.torch_device] if self.torch_device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


CPU = Device()


def open_device(
    asked: str, where: str, precision: Precision = "float32", deterministic: bool = False, sharing: int = 1
) -> Device:
    """Return the device, ready for this process.

    The first call for a GPU starts CUDA, which takes seconds.

    Args:
        asked: as in `site.toml`.
        where: who asks, for the error.
        precision: see `Device`.
        deterministic: see `Device`.
        sharing: see `Device`; of a GPU, each process gets its part of the memory.

    Raises:
        DeviceError: if it is not there, or does not compute.
    """
    if deterministic:
        for name, value in _CUBLAS.items():  # read when CUDA's library of products starts
            os.environ.setdefault(name, value)
    torch_device = find_device(asked, where)
    if torch_device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(SHARED / sharing if sharing > 1 else 1.0, torch_device)
    return Device(torch_device, precision, deterministic, sharing)


def find_device(asked: str, where: str) -> torch.device:
    """Return the device of a text; for `auto` the first GPU if it computes, else the CPU.

    Raises:
        DeviceError: if it is not one, is not there, or does not compute.
    """
    if not re.fullmatch(ASKED, asked):
        raise DeviceError(where, DeviceFault.NOT_A_DEVICE, "is not a device", "use auto, cpu, cuda or cuda:N")
    if asked == "cpu":
        return _PROCESSOR
    count, index = torch.cuda.device_count(), int(asked.partition(":")[2] or 0)
    if asked == "auto" and count == 0:
        return _PROCESSOR
    instead = 'or ask for "auto" or "cpu"'
    if count == 0 and torch.version.cuda is None:
        what = f"asks for {asked}, and this torch is built without CUDA"
        raise DeviceError(where, DeviceFault.TORCH_WITHOUT_CUDA, what, f"install torch for CUDA, {instead}")
    if count == 0:
        what = f"asks for {asked}, and torch finds no CUDA device here"
        remedy = "look at the driver, at CUDA_VISIBLE_DEVICES, and at whether the container is given the GPU"
        raise DeviceError(where, DeviceFault.NO_GPU, what, f"{remedy}, {instead}")
    if index >= count:
        what = f"asks for {asked}, and torch finds no device beyond cuda:{count - 1} here"
        raise DeviceError(where, DeviceFault.NO_SUCH_GPU, what, f"name one that is there, {instead}")
    torch_device = torch.device("cuda", index)
    if is_usable(torch_device):
        return torch_device
    if asked == "auto":
        extra = {"code": DeviceFault.DOES_NOT_COMPUTE}
        log.warning("%s fails a test computation; training uses the CPU", torch_device, extra=extra)
        return _PROCESSOR
    what = f"asks for {asked}, which fails a test computation"
    raise DeviceError(
        where, DeviceFault.DOES_NOT_COMPUTE, what, f"restart the driver or the machine, {instead}"
    )


@lru_cache
def is_usable(torch_device: torch.device) -> bool:
    """Return whether a device computes; the answer is kept for the life of the process."""
    try:
        return computes(torch_device)
    except RuntimeError:
        return False


def computes(torch_device: torch.device) -> bool:
    """Return whether a small product on a device comes out right.

    Raises:
        RuntimeError: if it cannot be computed.
    """
    ones = torch.ones(64, 64, device=torch_device)
    return bool((ones @ ones == 64).all())
