"""Sums by which private steps move the weights, seen before noise is added and after."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.privacy.noise import NoisedSteps
from client.privacy.randomness import SecretRandom


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


@contextmanager
def watching_noised_steps() -> Iterator[list[Tensor]]:
    """Yield a list to which every step inside adds its sum with the noise that it drew, [parameters] float64.

    The weights after a step show as much, less what float32 rounds away beside large crafted weights.
    """
    seen: list[Tensor] = []
    drawn: list[NDArray[np.float64]] = []
    take, normal = NoisedSteps.take, SecretRandom.normal

    def noted_normal(self: SecretRandom, count: int) -> NDArray[np.float64]:
        drawn.append(normal(self, count))
        return drawn[-1].copy()  # the step scales what it gets in place

    def noted(self: NoisedSteps, sums: NDArray[np.float64]) -> NDArray[np.float32]:
        drawn.clear()
        after = take(self, sums)
        privacy = self._privacy
        noise = np.concatenate(drawn) * privacy.noise_multiplier * privacy.clip_norm
        seen.append(torch.from_numpy(sums + noise))
        return after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecretRandom, "normal", noted_normal)
        patch.setattr(NoisedSteps, "take", noted)
        yield seen
