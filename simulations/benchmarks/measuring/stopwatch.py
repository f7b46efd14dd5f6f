"""Time and peak memory of a step, on the processor or on a GPU."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path

import torch

CPU = torch.device("cpu")


def seconds(step: Callable[[], object], device: torch.device = CPU) -> float:
    """CPU seconds of a step; on a GPU the seconds until the step has finished."""
    if device.type == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak(step: Callable[[], object], device: torch.device = CPU) -> float:
    """MB of a step's peak above the memory before it.

    On the processor the resident size counts (Linux with glibc only), on a GPU its memory.
    """
    gc.collect()
    if device.type != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        allocated = torch.cuda.memory_allocated(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - allocated) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # memory that preparing left free would hide the need of the step
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 1024
