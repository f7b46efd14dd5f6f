"""Clipped sums by which private steps move the weights, seen before noise is added."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.privacy.noise import NoisedSteps


@contextmanager
def watching_steps() -> Iterator[list[Tensor]]:
    """Yield a list to which every step inside adds its clipped sum, [parameters] float64."""
    seen: list[Tensor] = []
    take = NoisedSteps.take

    def noted(self: NoisedSteps, sums: NDArray[np.float64]) -> NDArray[np.float32]:
        seen.append(torch.from_numpy(sums.copy()))
        return take(self, sums)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NoisedSteps, "take", noted)
        yield seen
