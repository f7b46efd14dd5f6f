import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss

CUTS = torch.tensor([1.0, 2.0, 4.0, 8.0])


def losses(
    batch: PatientBatch, federation: Federation, scale: float = 1.0, log_variance: bool = True
) -> Tensor:
    """Multitask losses for logits that depend on the patient alone."""
    seeds = batch.values["rna"].sum(1, keepdim=True)
    logits = {
        task.name: scale * torch.sin(seeds * torch.arange(1, task.outputs + 1)) for task in federation.tasks
    }
    variance = torch.tensor([0.3, -0.2, 0.1]) if log_variance else None
    return multitask_loss(federation.tasks, logits, batch, {"survival": CUTS}, variance)


def test_the_loss_couples_no_patients(
    make_batch: Callable[..., PatientBatch], federation: Federation
) -> None:
    batch = make_batch(9)
    alone = torch.cat([losses(batch.select(torch.tensor([place])), federation) for place in range(9)])
    assert torch.equal(losses(batch, federation), alone)


def test_tasks_add_up_with_kendalls_weights(
    make_batch: Callable[..., PatientBatch], federation: Federation
) -> None:
    batch = make_batch(40)
    logits = {task.name: torch.randn(40, task.outputs) for task in federation.tasks}
    log_variance = torch.tensor([0.5, -1.0, 2.0])
    cuts = {"survival": CUTS}
    expected = torch.zeros(40)
    for task, scale in zip(federation.tasks, log_variance.tolist(), strict=True):
        known = batch.labelled[task.name]
        each = task.loss(logits[task.name], batch.labels[task.name], known, cuts.get(task.name))
        expected += (math.exp(-scale) * each + scale / 2) * known.any(1)
    assert 0 < sum(int(known.any()) for known in batch.labelled["survival"]) < 40
    found = multitask_loss(federation.tasks, logits, batch, cuts, log_variance)
    torch.testing.assert_close(found, expected)
    plain = multitask_loss(federation.tasks, logits, batch, cuts, None)
    torch.testing.assert_close(plain, multitask_loss(federation.tasks, logits, batch, cuts, torch.zeros(3)))


def test_losses_of_coarse_logits_are_not_coarse(
    federation: Federation, make_batch: Callable[..., PatientBatch], cuts: dict[str, Tensor]
) -> None:
    batch = make_batch(20)
    coarse = {task.name: torch.randn(20, task.outputs).bfloat16() for task in federation.tasks}
    exact = {name: own.float() for name, own in coarse.items()}
    found = multitask_loss(federation.tasks, coarse, batch, cuts, None)
    assert found.dtype == torch.float32
    assert torch.equal(found, multitask_loss(federation.tasks, exact, batch, cuts, None))


def test_the_best_task_weight_is_the_log_of_twice_the_loss(federation: Federation) -> None:
    """exp(-s) L + s / 2 is least at s = log(2 L): how Kendall's weights find their scale."""
    task = federation.tasks[1]
    logits, known = {"response": torch.tensor([[2.0, 0.0, -1.0]])}, torch.ones(1, 1, dtype=torch.bool)
    batch = PatientBatch({"rna": torch.zeros(1, 1)}, {}, {"response": torch.ones(1, 1)}, {"response": known})
    loss = multitask_loss((task,), logits, batch, {}, None)
    scale = (2 * loss).log().requires_grad_()
    (gradient,) = torch.autograd.grad(multitask_loss((task,), logits, batch, {}, scale).sum(), scale)
    assert gradient.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_a_patient_without_labels_counts_nothing(
    federation: Federation, make_batch: Callable[..., PatientBatch], extreme: float
) -> None:
    batch = make_batch(5)
    unknown = {name: torch.zeros_like(known) for name, known in batch.labelled.items()}
    blank = {name: torch.zeros_like(label) for name, label in batch.labels.items()}
    batch = PatientBatch(batch.values, batch.observed, blank, unknown)
    logits = {t.name: torch.full((5, t.outputs), extreme, requires_grad=True) for t in federation.tasks}
    variance = torch.zeros(3, requires_grad=True)
    loss = multitask_loss(federation.tasks, logits, batch, {"survival": CUTS}, variance)
    assert loss.tolist() == [0.0] * 5
    for gradient in torch.autograd.grad(loss.sum(), [*logits.values(), variance]):
        assert not gradient.any()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_extreme_logits_give_finite_losses_and_gradients(
    federation: Federation, make_batch: Callable[..., PatientBatch], extreme: float
) -> None:
    batch = make_batch(30)
    logits = {t.name: torch.full((30, t.outputs), extreme, requires_grad=True) for t in federation.tasks}
    loss = multitask_loss(federation.tasks, logits, batch, {"survival": CUTS}, None)
    assert loss.isfinite().all()
    assert loss.max() >= 1e4 - 1
    for gradient in torch.autograd.grad(loss.sum(), list(logits.values())):
        assert gradient.isfinite().all()
