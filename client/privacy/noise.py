"""Optimiser of private steps: Opacus', with noise from the operating system.

Only private training imports this module, since Opacus takes longer to import than all else in a hospital's process.
"""

from collections.abc import Sequence

import torch
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from torch import Tensor

from client.privacy.randomness import SecretRandom
from common.agreement.settings import Privacy
from common.records import moved

BLOCK = 1 << 16
"""Numbers of noise drawn at a time: few enough to stay in the processor's cache."""


class NoisyOptimiser(DPOptimizerFastGradientClipping):  # type: ignore[misc]
    """Opacus' optimiser for clipped sums, with noise that nobody can draw again.

    The noise is drawn and added in float64 and the sum is then rounded, so that the low bits of a float32 normal number
    (Mironov 2012) are not there to be read.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, privacy: Privacy, secret: SecretRandom) -> None:
        super().__init__(
            optimiser,
            noise_multiplier=privacy.noise_multiplier,
            max_grad_norm=privacy.clip_norm,
            expected_batch_size=privacy.expected_batch_size,
        )
        self._secret = secret

    def descend(self, sums: Sequence[Tensor]) -> None:
        """Take a step along the noised mean of a sample.

        Args:
            sums: clipped sum over the sample in float64, for every parameter in their order.
        """
        for parameter, total in zip(self.params, sums, strict=True):
            parameter.summed_grad = total
        self.step()
        self.zero_grad()

    def accumulate(self) -> None:
        """Add nothing up: `descend` is given the sum over a whole sample."""

    def add_noise(self) -> None:
        """Set `p.grad` to the clipped sum plus normal noise.

        The noise has standard deviation noise_multiplier x clip_norm.
        """
        parameters = self.params
        sizes = [parameter.numel() for parameter in parameters]
        noisy = self._normal(sum(sizes)).mul_(self.noise_multiplier * self.max_grad_norm)
        noisy = moved(noisy, parameters[0].device)
        noisy += torch.cat([parameter.summed_grad.flatten() for parameter in parameters])
        rounded = noisy.to(parameters[0].dtype)
        for parameter, part in zip(parameters, rounded.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)

    def _normal(self, count: int) -> Tensor:
        blocks = [min(BLOCK, count - start) for start in range(0, count, BLOCK)]
        return torch.cat([self._secret.normal(block) for block in blocks])
