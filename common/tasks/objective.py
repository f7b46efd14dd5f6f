"""What the model is trained for: every loss is a sum over patients, masked per patient and per label."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from common.agreement.tasks import ResponseTask, SurvivalTask, Task
from common.patients.batch import PatientBatch
from common.tasks.survival import hazard_loss


def task_loss(
    task: Task, logits: Tensor, labels: Tensor, labelled: Tensor, cuts: dict[str, Tensor]
) -> Tensor:
    """Loss per patient [B], 0 where the task is not labelled; toxicity is the mean over known labels."""
    known = labelled.all(1)
    if isinstance(task, SurvivalTask):
        return hazard_loss(logits, cuts[task.name], labels[:, 0], labels[:, 1]) * known
    if isinstance(task, ResponseTask):
        return cross_entropy(logits, labels[:, 0].long(), reduction="none") * known
    each = binary_cross_entropy_with_logits(logits, labels, reduction="none") * labelled
    return each.sum(1) / labelled.sum(1).clamp(min=1)


def multitask_loss(
    tasks: tuple[Task, ...],
    logits: dict[str, Tensor],
    batch: PatientBatch,
    cuts: dict[str, Tensor],
    log_variance: Tensor | None,
) -> Tensor:
    """Loss per patient [B], summed over tasks.

    With `log_variance` s [tasks] a task counts exp(-s) * loss + s / 2 (Kendall, Gal & Cipolla 2018), for the patients
    labelled for it; without, tasks count alike. Losses have the labels' precision or more, whatever the logits have.
    """
    total = next(iter(logits.values())).new_zeros(len(batch))
    for index, task in enumerate(tasks):
        labels, labelled = batch.labels[task.name], batch.labelled[task.name]
        precise = logits[task.name].to(torch.promote_types(logits[task.name].dtype, labels.dtype))
        loss = task_loss(task, precise, labels, labelled, cuts)
        if log_variance is not None:
            scale = log_variance[index]
            loss = (-scale).exp() * loss + scale / 2 * labelled.any(1)
        total = total + loss
    return total
