"""Local training at one hospital: epochs over its own patients, and how the model does on its validation patients."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from client.adamw import AdamW
from client.device import CPU, Device
from client.memory import patients_at_once, placed
from common.batch import PatientBatch, moved
from common.errors import Refusal, RefusalCode
from common.federation import Federation
from common.metrics import concordance_pairs
from common.model import HierarchicalMultimodalGNN
from common.objectives import agreement_loss, multitask_loss, survival_curve
from common.schema import ResponseTask, SurvivalTask, Task

log = logging.getLogger("consilium.training")

LONGEST_STEP = 5.0
"""Gradients are shortened to this norm."""


def split(patients: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of (training, validation) patients; the same seed gives the same split."""
    order = torch.randperm(patients, generator=torch.Generator().manual_seed(seed))
    held = max(1, round(patients * fraction))
    return order[held:].sort().values, order[:held].sort().values


def train(
    model: HierarchicalMultimodalGNN,
    batch: PatientBatch,
    federation: Federation,
    cuts: dict[str, Tensor],
    round_: int,
    seed: int,
    device: Device = CPU,
) -> float:
    """Fit the model in place on one site's standardised training patients.

    The learning rate falls with the round as half a cosine. Dropout and the order of patients follow `seed`, so that
    the same seed gives the same weights. A minibatch for which the device has no room is computed in parts, whose
    gradients add up to its own. Nothing in a step waits for a GPU.

    Args:
        model: on the device.
        batch: on the CPU.
        federation: the agreement.
        cuts: hazard intervals.
        round_: 1 for the first.
        seed: of this round.
        device: where to train.

    Returns:
        Mean loss per patient over the last epoch.

    Raises:
        Refusal: if the loss or the weights are no longer finite.
    """
    settings = federation.training
    rate = settings.learning_rate * settings.decay(round_)
    optimiser = AdamW(model.parameters(), lr=rate, weight_decay=settings.weight_decay)
    pull: Callable[[], Tensor] | None = None
    if settings.strategy == "fedprox":
        anchor = [own.detach().clone() for own in model.parameters()]
        pull = partial(_pull, model, anchor, settings.proximal_mu)
    batch, cuts = placed(batch, device), {name: moved(ends, device.place) for name, ends in cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    at_once = patients_at_once(model, device)
    if at_once < min(settings.batch_size, len(batch)):
        log.warning(
            "memory is short: %d patients at once, so dropout is drawn otherwise than elsewhere", at_once
        )
    model.train()
    with device.drawing(seed), device.repeatable():
        for _ in range(settings.local_epochs):
            minibatches = _minibatches(len(batch), settings.batch_size)
            parts = [_divided(chosen, at_once) for chosen in minibatches]
            total = _epoch(model, batch, parts, loss, pull, optimiser, device)
    if not are_finite([total, *model.parameters()]):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)
    return float(total) / len(batch)


def _epoch(
    model: HierarchicalMultimodalGNN,
    batch: PatientBatch,
    minibatches: Sequence[Sequence[Tensor]],
    loss: Callable[[PatientBatch], Tensor],
    pull: Callable[[], Tensor] | None,
    optimiser: AdamW,
    device: Device,
) -> Tensor:
    """A step per minibatch, computed part by part; nothing here may ask a GPU for a number.

    Returns:
        [] float64 on the device: the sum of the patients' losses.
    """
    total = torch.zeros((), dtype=torch.float64, device=device.place)
    for parts in minibatches:
        patients = sum(len(rows) for rows in parts)
        optimiser.zero_grad()
        for place, rows in enumerate(parts):
            part = batch.select(rows).to(device.place)
            with device.autocast():
                losses = loss(part).sum()
            objective = losses / patients
            if pull is not None and place == 0:
                objective = objective + pull()
            objective.backward()
            total += losses.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LONGEST_STEP)
        optimiser.step()
    return total


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether all numbers of tensors on one device are finite; asked once for all of them."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


def _minibatches(patients: int, size: int) -> list[Tensor]:
    """A random partition into parts as equal as can be, none above `size`."""
    return _divided(torch.randperm(patients), size)


def _divided(patients: Tensor, size: int) -> list[Tensor]:
    """Indices in their order, in parts as equal as can be, none above `size`."""
    return list(patients.tensor_split(math.ceil(len(patients) / size)))


def patient_loss(
    model: HierarchicalMultimodalGNN, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """Training loss per patient [B]; with the contrastive term, two dropout views of every patient are compared."""
    encoding = model.encode(batch)
    loss = multitask_loss(federation.tasks, model.predict(encoding), batch, cuts, model.log_variance)
    if model.predictor is not None:
        fused, other = encoding.fused, model.encode(batch).fused
        agreement = agreement_loss(model.predictor(fused), other) + agreement_loss(
            model.predictor(other), fused
        )
        loss = loss + federation.training.contrastive_weight / 2 * agreement
    return loss


def _pull(model: torch.nn.Module, anchor: list[Tensor], weight: float) -> Tensor:
    """Weight / 2 times the squared distance to the round's global weights (FedProx, Li et al. 2020)."""
    pairs = zip(model.parameters(), anchor, strict=True)
    return weight / 2 * torch.stack([(own - fixed).square().sum() for own, fixed in pairs]).sum()


@torch.no_grad()
def logits(
    model: HierarchicalMultimodalGNN, batch: PatientBatch, size: int = 256, device: Device = CPU
) -> dict[str, Tensor]:
    """Task -> logits [P, outputs] of the model in evaluation mode, on the CPU as the batch is.

    They are computed for `size` patients at once, fewer if the device has no room.
    """
    model.eval()
    size = min(size, patients_at_once(model, device))
    with device.repeatable():
        parts = [model(batch.select(rows).to(device.place)) for rows in torch.arange(len(batch)).split(size)]
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}


def evaluate(
    model: HierarchicalMultimodalGNN,
    batch: PatientBatch,
    federation: Federation,
    cuts: dict[str, Tensor],
    least: int = 1,
    device: Device = CPU,
) -> dict[str, float]:
    """Sums over one site's patients, who are on the CPU, so that sites add up: see `exchange.EvaluateReply`.

    Pairs with fewer than `least` patients on either side count as none: one event among nine patients makes eight
    pairs, which all tell of that patient.
    """
    outputs = logits(model, batch, device=device)
    loss = multitask_loss(federation.tasks, outputs, batch, cuts, None)
    metrics = {
        "validation_loss": float(loss.sum()),
        "validation_squares": float(loss.square().sum()),
        "validation_patients": float(len(batch)),
    }
    for task in federation.tasks:
        concordant, comparable = _pairs(
            task, outputs[task.name], batch.labels[task.name], batch.labelled[task.name], least
        )
        metrics[f"concordant:{task.name}"] = concordant
        metrics[f"comparable:{task.name}"] = float(comparable)
    return metrics


def _pairs(task: Task, output: Tensor, labels: Tensor, labelled: Tensor, least: int) -> tuple[float, int]:
    """Concordant and comparable pairs within a site: Harrell's for survival, Mann-Whitney's for classes and labels.

    Those of survival need `least` patients on either side, those of classes `least` in every class that anybody is in,
    those of a label `least` with and without it.
    """
    if isinstance(task, SurvivalTask):
        known = labelled.all(1)
        risk = -survival_curve(output[known]).sum(1).double().numpy()
        time, event = labels[known].double().unbind(1)
        if _on_either_side(time.numpy(), event.numpy() > 0) < least:
            return 0.0, 0
        return concordance_pairs(time.numpy(), event.numpy() > 0, risk)
    if isinstance(task, ResponseTask):
        known = labelled[:, 0]
        if any(0 < count < least for count in labels[known, 0].long().bincount().tolist()):
            return 0.0, 0
        score = output[known].softmax(1)
        columns = range(1, 2) if len(task.classes) == 2 else range(len(task.classes))
        sums = [
            _mann_whitney((labels[known, 0] == index).numpy(), score[:, index].numpy()) for index in columns
        ]
    else:
        sums = [
            _mann_whitney(
                labels[labelled[:, index], index].numpy() > 0, output[labelled[:, index], index].numpy()
            )
            for index in range(len(task.labels))
            if _rarer(labels[labelled[:, index], index]) >= least
        ]
    return sum(concordant for concordant, _ in sums), sum(comparable for _, comparable in sums)


def _on_either_side(time: np.ndarray, event: np.ndarray) -> int:
    """The fewer of the patients with an event whom somebody outlives, and of those who outlive one of them."""
    longest, longest_censored = time.max(initial=-np.inf), time[~event].max(initial=-np.inf)
    earlier = event & ((time < longest) | (time <= longest_censored))
    first = time[earlier].min(initial=np.inf)
    later = (time > first) | ((time == first) & ~event)
    return int(min(earlier.sum(), later.sum()))


def _rarer(labels: Tensor) -> int:
    """The fewer of the patients with and without a label."""
    positive = int((labels > 0).sum())
    return min(positive, len(labels) - positive)


def _mann_whitney(positive: np.ndarray, score: np.ndarray) -> tuple[float, int]:
    difference = score[positive][:, None] - score[~positive][None, :]
    return float((difference > 0).sum() + 0.5 * (difference == 0).sum()), difference.size
