"""Training objectives: sums over patients, masked per patient and per label."""

import torch
from torch import Tensor

from common.patients.batch import PatientBatch
from common.tasks.task import Task


def multitask_loss(
    tasks: tuple[Task, ...],
    logits: dict[str, Tensor],
    batch: PatientBatch,
    cuts: dict[str, Tensor],
    log_variance: Tensor | None,
) -> Tensor:
    """Return the loss per patient [B], summed over tasks.

    With `log_variance` s [tasks] a task counts exp(-s) * loss + s / 2 (Kendall, Gal & Cipolla 2018), for the patients
    labelled for it; without, tasks count alike. Losses have the labels' precision or more, whatever the logits have.
    """
    total = next(iter(logits.values())).new_zeros(len(batch))
    for index, task in enumerate(tasks):
        labels, labelled = batch.labels[task.name], batch.labelled[task.name]
        precise = logits[task.name].to(torch.promote_types(logits[task.name].dtype, labels.dtype))
        loss = task.loss(precise, labels, labelled, cuts.get(task.name))
        if log_variance is not None:
            scale = log_variance[index]
            loss = (-scale).exp() * loss + scale / 2 * labelled.any(1)
        total = total + loss
    return total
