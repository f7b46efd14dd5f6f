"""Noised steps move the weights as Opacus' optimiser does; their noise is as large as agreed, and never the same."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from torch import nn
from torch.optim import SGD

from client.privacy.noise import NoisedSteps, NoisedSums, NoiseError
from client.privacy.randomness import SecretRandom
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training

TERMS = Privacy(
    noise_multiplier=2.0, clip_norm=0.5, sampling_rate=0.5, expected_batch_size=4, learning_rate=0.1, steps=2
)
MakeFederation = Callable[..., Federation]


class Silent(SecretRandom):
    """Randomness whose normal numbers are all 0."""

    def normal(self, count: int) -> NDArray[np.float64]:
        return np.zeros(count)


def agreement(make: MakeFederation, **training: object) -> Federation:
    return make(training=Training.model_validate({"rounds": 3, **training}))


def test_without_noise_steps_are_opacus_own(make_federation: MakeFederation) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    weights = {name: tensor.detach().numpy().copy() for name, tensor in layer.named_parameters()}
    steps = NoisedSteps(weights, agreement(make_federation), TERMS, 1, secret=Silent())
    optimiser = DPOptimizerFastGradientClipping(
        SGD(layer.parameters(), lr=0.1), noise_multiplier=0.0, max_grad_norm=0.5, expected_batch_size=4
    )
    for _ in range(TERMS.steps):
        sums = {name: torch.randn_like(parameter) for name, parameter in layer.named_parameters()}
        for name, parameter in layer.named_parameters():
            parameter.grad = sums[name].clone()
        optimiser.step()
        optimiser.zero_grad()
        after = steps.take(torch.cat([sums[name].flatten() for name in sorted(sums)]).double().numpy())
    assert steps.over
    assert (
        np.concatenate([steps.weights[name].ravel() for name in sorted(weights)]).tolist() == after.tolist()
    )
    for name, parameter in layer.named_parameters():
        np.testing.assert_allclose(steps.weights[name], parameter.detach().numpy(), rtol=1e-6)


def test_fedprox_pulls_to_the_weights_of_the_request(make_federation: MakeFederation) -> None:
    agreed = agreement(make_federation, strategy="fedprox", proximal_mu=0.5)
    steps = NoisedSteps({"w": np.ones(2, np.float32)}, agreed, TERMS, 1, secret=Silent())
    steps.take(np.array([4.0, 0.0]))
    assert steps.take(np.zeros(2)).tolist() == pytest.approx([0.9 + 0.1 * 0.5 * 0.1, 1.0])


def test_noise_is_of_the_size_agreed_and_never_repeats(make_federation: MakeFederation) -> None:
    draws = []
    for _ in range(2):
        steps = NoisedSteps({"w": np.zeros(20_000, np.float32)}, agreement(make_federation), TERMS, 1)
        draws.append(steps.take(np.zeros(20_000)) * TERMS.expected_batch_size / TERMS.learning_rate)
    assert draws[0].std() == pytest.approx(TERMS.noise_multiplier * TERMS.clip_norm, rel=0.03)
    assert abs(np.corrcoef(draws)[0, 1]) < 0.05


@pytest.mark.parametrize(
    "sums",
    [
        np.full(4, 1.0),
        np.array([np.nan, 0, 0, 0]),
        np.array([np.inf, 0, 0, 0]),
        np.zeros(3),
        np.zeros((2, 2)),
    ],
    ids=["too long", "no number", "infinite", "another model", "another form"],
)
def test_a_sum_of_no_honest_sample_is_refused(
    make_federation: MakeFederation, sums: NDArray[np.float64]
) -> None:
    steps = NoisedSteps({"w": np.zeros(4, np.float32)}, agreement(make_federation), TERMS, 1, cohort=3)
    with pytest.raises(NoiseError):
        steps.take(sums)
    steps.take(np.array([1.5, 0, 0, 0]))  # three patients at the clip norm, all of one mind


def test_no_step_more_than_agreed_is_taken(make_federation: MakeFederation) -> None:
    steps = NoisedSteps({"w": np.zeros(1, np.float32)}, agreement(make_federation), TERMS, 1)
    for number in range(TERMS.steps):
        assert steps.over == (number == TERMS.steps)
        steps.take(np.zeros(1))
    assert steps.over
    with pytest.raises(NoiseError):
        steps.take(np.zeros(1))


def test_noise_of_sums_is_of_the_size_agreed() -> None:
    noised = NoisedSums(20_000, 3.0, 2.0).take(np.full(20_000, 5.0))
    assert noised.mean() == pytest.approx(5, abs=0.2)
    assert noised.std() == pytest.approx(6.0, rel=0.03)


@pytest.mark.parametrize("sums", [np.full(4, 4.0), np.array([np.nan, 0, 0, 0]), np.zeros(3)])
def test_sums_of_no_cohort_are_refused_and_noise_is_drawn_once(sums: NDArray[np.float64]) -> None:
    noise = NoisedSums(4, 2.0, 1.0, cohort=3)
    with pytest.raises(NoiseError):
        noise.take(sums)
    noise.take(np.array([6.0, 0, 0, 0]))
    with pytest.raises(NoiseError):
        noise.take(np.zeros(4))


def test_an_app_without_privacy_is_spared_opacus_and_the_gate_torch() -> None:
    program = (
        "import sys, client.runtime.gatekeeper, client.privacy.noise;"
        "print('torch' in sys.modules);"
        "import client.app, client.privacy.dp_sgd;"
        "print(sorted({'opacus', 'scipy', 'pandas'} & {*sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n[]\n"
