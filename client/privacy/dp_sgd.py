"""Patient-level differentially private training (DP-SGD, Abadi et al. 2016).

Every step draws a Poisson sample, clips the gradient of every patient and adds noise to the sum.

One patient is one sample, whatever it consists of. The sampling rate, the expected batch size, the clip norm and the
noise are constants of the agreement; nothing is derived from the cohort. Sampling and noise come from the operating
system, never from a seed that the coordinator or another site knows.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from client.privacy.arithmetic import LARGEST, steady_slot
from client.privacy.clipping import patient_gradients
from client.privacy.noise import NoisedSteps, StepsOfRound
from client.privacy.randomness import SecretRandom
from client.privacy.slots import Slot, clipped_sums
from client.training.finite import are_finite
from client.training.memory import placed, units_at_once
from client.training.round import Round
from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import Privacy
from common.errors import Refusal, RefusalCode
from common.models.shared import SharedModel
from common.records import Records

R = TypeVar("R", bound=Records)


Descent = Callable[[Sequence[Tensor]], None]
"""Step along the clipped sums of a sample, in float64 for every trained parameter; adding noise is its part."""


def train_privately(
    model: SharedModel,
    batch: Records,
    round_: Round,
    privacy: Privacy,
    absent: frozenset[str] = frozenset(),
    steps_of: StepsOfRound = NoisedSteps,
) -> None:
    """Take `privacy.steps` private steps in place on one site's standardised patients.

    The learning rate falls with the round as half a cosine. Nothing else comes back: a loss would be another release.

    Args:
        model: on the round's device, without dropout (`common.patients.guarantee.check_agreement`).
        batch: all of the site's training patients, on the CPU.
        round_: agreement and device.
        privacy: the terms at this site, the federation's or stricter ones.
        absent: modalities that the hospital has no table of; their parameters stay as they are.
        steps_of: adds the noise and takes the steps, in this process or at the gate.

    Raises:
        Refusal: if the weights are no longer finite.
    """
    family, federation, device = round_.family, round_.federation, round_.device
    learnable = model.groups().learnable(privacy, absent)
    frozen = [parameter for name, parameter in model.named_parameters() if name not in learnable]
    for parameter in frozen:
        parameter.requires_grad_(False)
    prepared = round_.prepared.to(device.torch_device)
    # Decided by the weights received, in which no patient has a part.
    linear = family.linear_loss(model, federation, prepared) if privacy.learn == "linear" else None
    loss = linear or (lambda records: family.loss(model, records, federation, prepared))
    try:
        model.train()
        with device.repeatable():
            most = units_at_once(model, device, private=True)
            made_up = family.probe(federation, LARGEST)
            slot = steady_slot(model, loss, linear is not None, made_up, most)
            take_private_steps(model, placed(batch, device), round_, privacy, loss, slot, steps_of)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    if not are_finite(list(model.parameters())):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)


def take_private_steps(
    model: SharedModel,
    batch: R,
    round_: Round,
    privacy: Privacy,
    loss: Callable[[R], Tensor],
    slot: Slot,
    steps_of: StepsOfRound = NoisedSteps,
) -> None:
    """Take a round's steps on Poisson samples of the batch.

    Args:
        model: its parameters with `requires_grad` are trained.
        batch: on any device.
        round_: agreement and device.
        privacy: the terms at this site.
        loss: gives one value per patient of a batch [B], from this model.
        slot: numbers of rows in which gradients are computed.
        steps_of: adds the noise and takes the steps.
    """
    secret = SecretRandom()
    model.train()
    with patient_gradients(model) as gradients:
        descend = descent(model, round_.federation, privacy, round_.number, steps_of)
        for _ in range(privacy.steps):
            drawn = torch.from_numpy(np.flatnonzero(secret.uniform(len(batch)) < privacy.sampling_rate))
            descend(clipped_sums(gradients, batch.select(drawn), loss, slot, privacy.clip_norm))


def descent(
    model: nn.Module,
    agreement: Agreement,
    privacy: Privacy,
    round_: int = 1,
    steps_of: StepsOfRound = NoisedSteps,
) -> Descent:
    """Return a function that moves the trained parameters of a model by noised steps."""
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    order = sorted(range(len(trained)), key=lambda index: trained[index][0])
    before = {name: parameter.detach().cpu().numpy().copy() for name, parameter in trained}
    steps = steps_of(before, agreement, privacy, round_)

    def descend(sums: Sequence[Tensor]) -> None:
        flat = torch.cat([sums[index].detach().flatten().double() for index in order]).cpu().numpy()
        after = torch.from_numpy(steps.take(flat))
        parts = after.split([trained[index][1].numel() for index in order])
        with torch.no_grad():
            for index, part in zip(order, parts, strict=True):
                parameter = trained[index][1]
                parameter.copy_(part.view_as(parameter))

    return descend
