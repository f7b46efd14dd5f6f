"""The optimiser of private steps moves as Opacus' own does; its noise is as large as agreed, and never the same."""

import subprocess
import sys

import pytest
import torch
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from torch import Tensor, nn
from torch.optim import SGD

from client.privacy.noise import NoisyOptimiser
from client.privacy.randomness import SecretRandom
from common.agreement.settings import Privacy

TERMS = Privacy(noise_multiplier=2.0, clip_norm=0.5, sampling_rate=0.5, expected_batch_size=4)


class Silent(SecretRandom):
    """Randomness whose normal numbers are all 0."""

    def normal(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=torch.float64)


def test_without_noise_a_step_is_opacus_own() -> None:
    moved = []
    for ours in (True, False):
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        sgd = SGD(layer.parameters(), lr=0.1)
        optimiser = (
            NoisyOptimiser(sgd, TERMS, Silent())
            if ours
            else DPOptimizerFastGradientClipping(
                sgd, noise_multiplier=0.0, max_grad_norm=0.5, expected_batch_size=4
            )
        )
        sums = [torch.randn_like(own) for own in layer.parameters()]
        if isinstance(optimiser, NoisyOptimiser):
            optimiser.descend([total.double() for total in sums])
        else:
            for own, total in zip(layer.parameters(), sums, strict=True):
                own.grad = total
            optimiser.step()
        moved.append([own.detach().clone() for own in layer.parameters()])
    assert all(own.equal(other) for own, other in zip(*moved, strict=True))


def test_noise_is_of_the_size_agreed_and_never_repeats() -> None:
    draws = []
    for _ in range(2):
        layer = nn.Linear(200, 100, bias=False)
        optimiser = NoisyOptimiser(SGD(layer.parameters(), lr=1.0), TERMS, SecretRandom())
        before = layer.weight.detach().clone()
        optimiser.descend([torch.zeros_like(layer.weight, dtype=torch.float64)])
        draws.append((before - layer.weight.detach()) * TERMS.expected_batch_size)
    assert draws[0].std().item() == pytest.approx(TERMS.noise_multiplier * TERMS.clip_norm, rel=0.03)
    assert abs(torch.corrcoef(torch.stack([draw.flatten() for draw in draws]))[0, 1]) < 0.05


def test_a_process_that_trains_without_privacy_is_spared_opacus() -> None:
    program = (
        "import sys, client.app, client.runtime.gatekeeper;"
        "print(sorted({'opacus', 'scipy', 'pandas'} & {*sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
