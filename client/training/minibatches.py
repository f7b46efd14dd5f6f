"""Partition of records into minibatches, and of minibatches into parts that fit in memory."""

import math

import torch
from torch import Tensor


def draw_minibatches(patients: int, size: int) -> list[Tensor]:
    """Return a random partition into parts as equal as can be, none above `size`."""
    return divide(torch.randperm(patients), size)


def divide(patients: Tensor, size: int) -> list[Tensor]:
    """Split indices in their order into parts as equal as can be, none above `size`."""
    return list(patients.tensor_split(math.ceil(len(patients) / size)))
