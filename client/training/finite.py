"""Check that a model and its loss stayed finite."""

from collections.abc import Sequence

import torch
from torch import Tensor


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Return whether all numbers of tensors on one device are finite, asking the device once."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
