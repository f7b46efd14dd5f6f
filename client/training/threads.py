"""Number of threads for a training step.

On small tensors, threads cost more by waiting than they save.
"""

import os

import torch

from client.training.memory import kept_per_unit
from common.models.shared import SharedModel

BYTES_PER_THREAD = 64 << 20
"""Bytes that autograd must keep of a forward pass to repay a thread; see docs/performance.md, Threads."""


def use_threads(model: SharedModel, units: int) -> None:
    """Set this process's number of threads to what steps of so many units are worth.

    A number in the environment's `OMP_NUM_THREADS` stands: whoever set that variable knows better.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(worthwhile(units * kept_per_unit(model), torch.get_num_threads()))


def worthwhile(kept: int, most: int) -> int:
    """Return the threads for a step whose forward pass keeps so many bytes, of `most` available."""
    return max(1, min(most, kept // BYTES_PER_THREAD))
