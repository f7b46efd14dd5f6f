"""Local training at one hospital: epochs over the hospital's patients, without privacy."""

import logging
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from client.training.adamw import AdamW
from client.training.device import Device
from client.training.finite import are_finite
from client.training.memory import placed, units_at_once
from client.training.minibatches import divide, draw_minibatches
from client.training.replay.step import LONGEST_STEP
from client.training.replay.training import replayed_step, train_by_replay
from client.training.round import Round
from common.counting import are, counted
from common.errors import Refusal, RefusalCode
from common.models.shared import SharedModel
from common.records import Records

log = logging.getLogger("consilium.training")


def train(
    model: SharedModel,
    batch: Records,
    round_: Round,
    first: list[Tensor] | None = None,
) -> float:
    """Fit the model in place on one site's standardised training patients.

    The learning rate falls with the round as half a cosine. Dropout and the order of patients follow the round's seed,
    so that the same seed gives the same weights. A minibatch for which the device has no room is computed in parts,
    whose gradients add up to those of the whole. Nothing in a step waits for a GPU, which replays steps if it can
    (`client.training.replay`).

    Args:
        model: on the round's device.
        batch: on the CPU.
        round_: agreement, seed and device.
        first: gets the losses of the first minibatch, part by part: of the weights that came, for no step was taken.

    Returns:
        Mean loss per patient over the last epoch.

    Raises:
        Refusal: if the loss or the weights are no longer finite.
    """
    settings, device = round_.federation.training, round_.device
    linear_rounds = round_.federation.linear_rounds
    rate = settings.learning_rate * settings.decay(round_.number, linear_rounds)
    at_once = units_at_once(model, device)
    replayed = replayed_step(model, batch, round_, at_once)
    if replayed is not None:
        total = train_by_replay(replayed, model, batch, round_, rate, first)
    else:
        total = _train_by_launches(model, batch, round_, rate, at_once, first)
    if not are_finite([total, *model.parameters()]):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)
    return float(total) / len(batch)


def _train_by_launches(
    model: SharedModel,
    batch: Records,
    round_: Round,
    rate: float,
    at_once: int,
    first: list[Tensor] | None,
) -> Tensor:
    """Train as `train` says, an operation at a time; return the sum of losses in the last epoch."""
    settings, device = round_.federation.training, round_.device
    trained = model.groups().trained_in(round_.number, round_.federation.linear_rounds)
    parameters = [weight for name, weight in model.named_parameters() if name in trained]
    optimiser = AdamW(parameters, lr=rate, weight_decay=settings.weight_decay)
    pull: Callable[[], None] | None = None
    if settings.strategy == "fedprox":
        anchor = [parameter.detach().clone() for parameter in parameters]
        pull = partial(_pull, parameters, anchor, settings.proximal_mu)
    batch = placed(batch, device)
    prepared = round_.prepared.to(device.torch_device)

    def loss(part: Records) -> Tensor:
        return round_.family.loss(model, part, round_.federation, prepared)

    if at_once < min(settings.batch_size, len(batch)):
        log.warning(
            "little memory is free: %s %s computed at once, which changes the random numbers of dropout",
            *(counted(at_once, "patient"), are(at_once)),
        )
    model.train()
    with device.seeded(round_.seed), device.repeatable(), _fixed(model, trained):
        for epoch in range(settings.local_epochs):
            minibatches = draw_minibatches(len(batch), settings.batch_size)
            parts = [divide(chosen, at_once) for chosen in minibatches]
            watched = first if epoch == 0 else None
            total = train_epoch(model, batch, parts, loss, pull, optimiser, device, watched)
    return total


@contextmanager
def _fixed(model: SharedModel, trained: Set[str]) -> Iterator[None]:
    """Take no gradient of parameters that are not trained: it would count in the norm of a step."""
    others = [weight for name, weight in model.named_parameters() if name not in trained]
    try:
        for weight in others:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)


def train_epoch(
    model: SharedModel,
    batch: Records,
    minibatches: Sequence[Sequence[Tensor]],
    loss: Callable[[Records], Tensor],
    pull: Callable[[], None] | None,
    optimiser: AdamW,
    device: Device,
    first: list[Tensor] | None = None,
) -> Tensor:
    """Take a step per minibatch, computed part by part, without asking a GPU for a number.

    Args:
        model: on the device.
        batch: on the device, or on the CPU if it has no room there.
        minibatches: indices of the patients of a minibatch, in parts that fit in memory.
        loss: gives one value per patient of a batch [B], from this model.
        pull: adds the gradient of the objective's term without patients, once per minibatch.
        optimiser: of the model's parameters.
        device: where to compute.
        first: gets the losses of the first minibatch, part by part.

    Returns:
        [] float64 on the device: the sum of the patients' losses.
    """
    total = torch.zeros((), dtype=torch.float64, device=device.torch_device)
    for number, parts in enumerate(minibatches):
        patients = sum(len(rows) for rows in parts)
        optimiser.zero_grad()
        for rows in parts:
            part = batch.select(rows).to(device.torch_device)
            with device.autocast():
                by_patient = loss(part)
                losses = by_patient.sum()
            if first is not None and number == 0:
                first.append(by_patient.detach())
            (losses / patients).backward()
            total += losses.detach()
        if pull is not None:
            pull()
        torch.nn.utils.clip_grad_norm_(optimiser.parameters, LONGEST_STEP)
        optimiser.step()
    return total


@torch.no_grad()
def _pull(parameters: Sequence[Tensor], anchor: Sequence[Tensor], weight: float) -> None:
    """Add the gradient of the proximal term (FedProx, Li et al. 2020).

    The term is weight / 2 x squared distance to the round's weights. What no patient of the minibatch
    moves has no gradient and rests, so that weight decay does not move it either.
    """
    for parameter, fixed in zip(parameters, anchor, strict=True):
        if parameter.grad is not None:
            parameter.grad.add_(parameter - fixed, alpha=weight)
