"""Split of a site's records into training and validation, by the agreement's seed alone."""

import torch
from torch import Tensor

from common.agreement.settings import held_out


def split(units: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of (training, validation) records; the same seed gives the same split."""
    order = torch.randperm(units, generator=torch.Generator().manual_seed(seed))
    held = held_out(units, fraction)
    return order[held:].sort().values, order[:held].sort().values
