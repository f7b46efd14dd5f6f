"""The optimiser of private steps: Opacus', with noise from the operating system.

A module of its own, because Opacus takes longer to import than everything else that a hospital's process needs of us.
"""

import torch
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from torch import Tensor

from client.privacy.randomness import SecretRandom
from common.agreement.settings import Privacy
from common.patients.batch import moved

BLOCK = 1 << 16
"""Numbers of noise drawn at a time: few enough to stay in the processor's cache."""


class NoisyOptimiser(DPOptimizerFastGradientClipping):  # type: ignore[misc]
    """Opacus' optimiser for clipped sums, with noise that nobody else can draw.

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
        """Move `p.grad`, a part's clipped sum, to `p.summed_grad`; Opacus' own copies it."""
        for own in self.params:
            own.summed_grad = own.grad if own.summed_grad is None else own.summed_grad + own.grad
            own.grad = None  # or zero_grad would empty the sum too

    def add_noise(self) -> None:
        """`p.grad` becomes the clipped sum plus normal noise of standard deviation noise_multiplier x clip_norm."""
        parameters = self.params
        sizes = [own.numel() for own in parameters]
        noisy = self._normal(sum(sizes)).mul_(self.noise_multiplier * self.max_grad_norm)
        noisy = moved(noisy, parameters[0].device)
        noisy += torch.cat([own.summed_grad.flatten() for own in parameters])
        rounded = noisy.to(parameters[0].dtype)
        for own, part in zip(parameters, rounded.split(sizes), strict=True):
            own.grad = part.view_as(own)

    def _normal(self, count: int) -> Tensor:
        blocks = [min(BLOCK, count - start) for start in range(0, count, BLOCK)]
        return torch.cat([self._secret.normal(block) for block in blocks])
