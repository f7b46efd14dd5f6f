"""Sums of losses and concordant pairs over validation patients."""

import numpy as np
import torch
from torch import Tensor

from client.training.device import CPU, Device
from client.training.memory import patients_at_once
from client.training.round import Round
from common.agreement.tasks import ResponseTask, SurvivalTask, Task
from common.evaluation.survival import concordance_pairs
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.tasks.objective import multitask_loss
from common.tasks.survival import survival_curve


@torch.no_grad()
def logits(
    model: FederatedModel, batch: PatientBatch, size: int = 256, device: Device = CPU
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
    model: FederatedModel,
    batch: PatientBatch,
    round_: Round,
    least: int = 1,
) -> dict[str, float]:
    """Sum losses and pairs over one site's patients, who are on the CPU: see `exchange.EvaluateReply`.

    Pairs with fewer than `least` patients on either side count as none: one event among nine patients makes eight
    pairs, which all tell of that patient.
    """
    outputs = logits(model, batch, device=round_.device)
    tasks = round_.federation.tasks
    loss = multitask_loss(tasks, outputs, batch, round_.cuts, None)
    metrics = {
        "validation_loss": float(loss.sum()),
        "validation_squares": float(loss.square().sum()),
        "validation_patients": float(len(batch)),
    }
    for task in tasks:
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
