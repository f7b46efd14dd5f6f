"""Local training at one hospital: epochs over its own patients, and how the model does on its validation patients."""

import math

import numpy as np
import torch
from torch import Tensor

from client.adamw import AdamW
from common.batch import PatientBatch
from common.errors import Refusal, RefusalCode
from common.federation import Federation
from common.metrics import concordance_pairs
from common.model import HierarchicalMultimodalGNN
from common.objectives import agreement_loss, multitask_loss, survival_curve
from common.schema import ResponseTask, SurvivalTask, Task


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
) -> float:
    """Fit the model in place on one site's standardised training patients.

    The learning rate falls with the round as half a cosine. Dropout and the order of patients follow `seed`, so that
    the same seed gives the same weights.

    Returns:
        Mean loss per patient over the last epoch.

    Raises:
        Refusal: if the loss or the weights are no longer finite.
    """
    settings = federation.training
    rate = settings.learning_rate * settings.decay(round_)
    optimiser = AdamW(model.parameters(), lr=rate, weight_decay=settings.weight_decay)
    anchor = [own.detach().clone() for own in model.parameters()] if settings.strategy == "fedprox" else None
    model.train()
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(settings.local_epochs):
            total = 0.0
            for chosen in _minibatches(len(batch), settings.batch_size):
                part = batch.select(chosen)
                loss = patient_loss(model, part, federation, cuts).sum()
                objective = loss / len(part)
                if anchor is not None:
                    objective = objective + settings.proximal_mu / 2 * _distance(model, anchor)
                optimiser.zero_grad()
                objective.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimiser.step()
                total += float(loss.detach())
    if not math.isfinite(total) or not all(bool(own.isfinite().all()) for own in model.parameters()):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)
    return total / len(batch)


def _minibatches(patients: int, size: int) -> list[Tensor]:
    """A random partition into parts as equal as can be, none above `size`."""
    return list(torch.randperm(patients).tensor_split(math.ceil(patients / size)))


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


def _distance(model: torch.nn.Module, anchor: list[Tensor]) -> Tensor:
    """Squared distance to the round's global weights (FedProx, Li et al. 2020)."""
    pairs = zip(model.parameters(), anchor, strict=True)
    return torch.stack([(own - fixed).square().sum() for own, fixed in pairs]).sum()


@torch.no_grad()
def logits(model: HierarchicalMultimodalGNN, batch: PatientBatch, size: int = 256) -> dict[str, Tensor]:
    """Task -> logits [P, outputs] of the model in evaluation mode."""
    model.eval()
    parts = [model(batch.select(rows)) for rows in torch.arange(len(batch)).split(size)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def evaluate(
    model: HierarchicalMultimodalGNN,
    batch: PatientBatch,
    federation: Federation,
    cuts: dict[str, Tensor],
    least: int = 1,
) -> dict[str, float]:
    """Sums over one site's patients, so that sites add up: see `exchange.EvaluateReply`.

    Pairs with fewer than `least` patients on either side count as none: one event among nine patients makes eight
    pairs, which all tell of that patient.
    """
    outputs = logits(model, batch)
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
