"""How many threads a step is computed with: on small tensors they cost more by waiting than they save."""

import os

import torch

from client.training.memory import kept_per_patient
from common.models.hierarchical import HierarchicalMultimodalGNN

EACH = 64 << 20
"""Bytes that autograd keeps of a step's forward pass, per thread that is worth it; see docs/performance.md, Threads."""


def use_threads(model: HierarchicalMultimodalGNN, patients: int) -> None:
    """Have this process compute with as many threads as steps of so many patients are worth.

    What the environment says in `OMP_NUM_THREADS` stands: who sets it knows better.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(worthwhile(patients * kept_per_patient(model), torch.get_num_threads()))


def worthwhile(kept: int, most: int) -> int:
    """Threads for a step whose forward pass keeps so many bytes, of `most` that there are."""
    return max(1, min(most, kept // EACH))
