"""Optimiser of private steps: Opacus', with noise from the operating system.

Only private training imports this module, since Opacus takes longer to import than all else in a hospital's process.
"""

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

    def accumulate(self) -> None:
        """Move `p.grad`, a clipped sum over part of a sample, to `p.summed_grad`.

        Opacus would copy it.
        """
        for parameter in self.params:
            parameter.summed_grad = (
                parameter.grad if parameter.summed_grad is None else parameter.summed_grad + parameter.grad
            )
            parameter.grad = None  # or zero_grad would empty the sum too

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
