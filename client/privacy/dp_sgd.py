"""Patient-level differentially private training (DP-SGD, Abadi et al. 2016).

Every step draws a Poisson sample, clips the gradient of every patient and adds noise to the sum.

One patient is one sample, whatever it consists of. The sampling rate, the expected batch size, the clip norm and the
noise are constants of the agreement; nothing is derived from the cohort. Sampling and noise come from the operating
system, never from a seed that the coordinator or another site knows.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD

from client.privacy.clipping import PatientGradients, patient_gradients
from client.privacy.randomness import SecretRandom
from client.training.finite import are_finite
from client.training.memory import placed, units_at_once
from client.training.round import Round
from common.agreement.settings import Privacy
from common.errors import Refusal, RefusalCode
from common.models.shared import SharedModel
from common.records import Prepared, Records

if TYPE_CHECKING:
    from opacus.optimizers import DPOptimizer

    from client.privacy.noise import NoisyOptimiser


STEEP = 10.0
"""Weight beyond which training computes in float64.

A product over a batch is rounded otherwise when a patient is gone, and steep weights make much of that: with random
weights of size 1,000 the others' clipped gradients moved by 3.7 times the clip norm in float32, by nothing in float64.
"""


R = TypeVar("R", bound=Records)


AT_ONCE = 64
"""Most patients whose gradients are computed together; larger Poisson samples are added up in parts."""


def train_privately(
    model: SharedModel,
    batch: Records,
    round_: Round,
    privacy: Privacy,
    absent: frozenset[str] = frozenset(),
) -> None:
    """Take `privacy.steps` private steps in place on one site's standardised patients.

    The learning rate falls with the round as half a cosine. Nothing else comes back: a loss would be another release.

    Args:
        model: on the round's device, without dropout (`common.patients.guarantee.check_agreement`).
        batch: all of the site's training patients, on the CPU.
        round_: agreement and device, on which everything is float32 or more: clipping must be exact.
        privacy: the terms at this site, the federation's or stricter ones.
        absent: modalities that the hospital has no table of; their parameters stay as they are.

    Raises:
        Refusal: if the weights are no longer finite.
    """
    device, prepared = round_.device, round_.prepared
    # Both decided by the weights received, in which no patient has a part.
    linear = privacy.learn == "linear"
    precise = bool(
        torch.stack([parameter.detach().abs().max() for parameter in model.parameters()]).max() > STEEP
    )
    learnable = model.groups().learnable(privacy, absent)
    frozen = [parameter for name, parameter in model.named_parameters() if name not in learnable]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        if precise:
            model.double()
            batch, prepared = batch.double(), prepared.double()
        loss = _loss(model, round_, prepared.to(device.torch_device), linear)
        with device.repeatable():
            take_private_steps(model, placed(batch, device), round_, privacy, loss)
    finally:
        model.float()
        for parameter in frozen:
            parameter.requires_grad_(True)
    if not are_finite(list(model.parameters())):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)


def _loss(model: SharedModel, round_: Round, prepared: Prepared, linear: bool) -> Callable[[Records], Tensor]:
    """Loss per unit, by the model's linear part alone where that gives the same."""
    family, federation = round_.family, round_.federation
    cheaper = family.linear_loss(model, federation, prepared) if linear else None
    return cheaper or (lambda records: family.loss(model, records, federation, prepared))


def take_private_steps(
    model: SharedModel,
    batch: R,
    round_: Round,
    privacy: Privacy,
    loss: Callable[[R], Tensor],
) -> None:
    """Take a round's steps on Poisson samples of the batch.

    No step waits for a number from the device.

    Args:
        model: its parameters with `requires_grad` are trained.
        batch: on any device.
        round_: agreement and device.
        privacy: the terms at this site.
        loss: gives one value per patient of a batch [B], from this model.
    """
    from client.privacy.noise import NoisyOptimiser  # brings Opacus, which a round without privacy is spared

    training, secret = round_.federation.training, SecretRandom()
    at_once = min(AT_ONCE, units_at_once(model, round_.device, private=True))
    with patient_gradients(model) as gradients:
        rate = privacy.learning_rate * training.decay(round_.number)
        optimiser = NoisyOptimiser(SGD(gradients.parameters, lr=rate), privacy, secret)
        if training.strategy == "fedprox":
            optimiser.attach_step_hook(_proximal(gradients.parameters, training.proximal_mu))
        model.train()
        for _ in range(privacy.steps):
            drawn = (secret.uniform(len(batch)) < privacy.sampling_rate).nonzero().squeeze(1)
            noisy_step(optimiser, gradients, batch.select(drawn), loss, at_once)


def noisy_step(
    optimiser: "NoisyOptimiser",
    gradients: PatientGradients,
    drawn: R,
    loss: Callable[[R], Tensor],
    at_once: int = AT_ONCE,
) -> None:
    """Take one step on the patients drawn; with nobody drawn it is noise alone.

    Args:
        optimiser: of the parameters that `gradients` watches.
        gradients: watches the model that `loss` uses.
        drawn: a Poisson sample.
        loss: gives one value per patient of a batch [B].
        at_once: patients whose gradients are computed together.
    """
    parts = torch.arange(len(drawn)).split(at_once)  # of nobody: one part without patients
    for number, rows in enumerate(parts, start=1):
        part = drawn.select(rows).to(gradients.parameters[0].device)
        sums = gradients.clipped_sum(partial(loss, part), len(part), optimiser.max_grad_norm)
        for parameter, total in zip(gradients.parameters, sums, strict=True):
            parameter.grad = total
        optimiser.signal_skip_step(number < len(parts))
        optimiser.step()
        optimiser.zero_grad()


def _proximal(parameters: list[Parameter], weight: float) -> Callable[["DPOptimizer"], None]:
    """Return a hook that adds FedProx's pull to a noised gradient.

    The pull depends on no patient.
    """
    anchor = [parameter.detach().clone() for parameter in parameters]

    def pull(optimiser: "DPOptimizer") -> None:
        for parameter, fixed in zip(parameters, anchor, strict=True):
            assert parameter.grad is not None
            parameter.grad = parameter.grad + weight * (parameter.detach() - fixed)

    return pull
