import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss
from common.tasks.hazard import hazard_loss, survival_curve

CUTS = torch.tensor([1.0, 2.0, 4.0, 8.0])
HAZARD = [0.1, 0.2, 0.3, 0.4]
BY_HAND = {
    "event in the second interval": (1.5, 1, 0.9 * 0.2),
    "event in the first interval": (0.5, 1, 0.1),
    "event at time 0": (0.0, 1, 0.1),
    "event exactly on a cut belongs to the interval that ends there": (2.0, 1, 0.9 * 0.2),
    "event on the last cut": (8.0, 1, 0.9 * 0.8 * 0.7 * 0.4),
    "event beyond the last cut is survival of everything": (9.0, 1, 0.9 * 0.8 * 0.7 * 0.6),
    "censored in the first half has not survived the interval": (2.9, 0, 0.9 * 0.8),
    "censored in the middle has": (3.0, 0, 0.9 * 0.8 * 0.7),
    "censored in the second half has": (3.9, 0, 0.9 * 0.8 * 0.7),
    "censored exactly on a cut has": (4.0, 0, 0.9 * 0.8 * 0.7),
    "censored at once says nothing": (0.0, 0, 1.0),
    "censored beyond the last cut": (100.0, 0, 0.9 * 0.8 * 0.7 * 0.6),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_hazard_loss_by_hand(case: str) -> None:
    time, event, likelihood = BY_HAND[case]
    loss = hazard_loss(
        torch.tensor([HAZARD]).logit(), CUTS, torch.tensor([time]), torch.tensor([float(event)])
    )
    assert loss.item() == pytest.approx(-math.log(likelihood), abs=1e-6)


def slow_hazard_loss(logits: list[float], cuts: list[float], time: float, event: bool) -> float:
    """The likelihood walked interval by interval, one patient at a time."""
    loss, start = 0.0, 0.0
    for logit, end in zip(logits, cuts, strict=True):
        log_hazard, log_pass = -math.log1p(math.exp(-logit)), -math.log1p(math.exp(logit))
        if time > end:
            loss -= log_pass
        elif event:
            return loss - log_hazard
        else:
            return loss - (log_pass if time - start >= end - time else 0.0)
        start = end
    return loss


QUARTERS = st.integers(1, 60).map(lambda quarter: quarter / 4)


@given(
    cuts=st.lists(QUARTERS, min_size=2, max_size=8, unique=True).map(sorted),
    patients=st.lists(
        st.tuples(st.integers(0, 80).map(lambda q: q / 4), st.booleans()), min_size=1, max_size=6
    ),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=150)
def test_hazard_loss_equals_a_walk_through_the_intervals(
    cuts: list[float], patients: list[tuple[float, bool]], seed: int
) -> None:
    shape = (len(patients), len(cuts))
    logits = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    time = torch.tensor([time for time, _ in patients], dtype=torch.float64)
    event = torch.tensor([float(event) for _, event in patients])
    fast = hazard_loss(logits, torch.tensor(cuts, dtype=torch.float64), time, event)
    slow = [
        slow_hazard_loss(row, cuts, *patient) for row, patient in zip(logits.tolist(), patients, strict=True)
    ]
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))


def test_hazard_loss_equals_pycox_where_no_midpoint_decides() -> None:
    """`pycox.models.loss.nll_logistic_hazard` (BSD-2), for events and for censoring at the ends of intervals."""
    place = torch.tensor([0, 1, 3, 2, 0, 3])
    event = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    logits = torch.randn(6, 4)
    target = torch.zeros(6, 4).scatter(1, place[:, None], event[:, None])
    each = binary_cross_entropy_with_logits(logits, target, reduction="none")
    expected = each.cumsum(1).gather(1, place[:, None]).squeeze(1)
    torch.testing.assert_close(hazard_loss(logits, CUTS, CUTS[place], event), expected)


def test_survival_curve_is_what_the_loss_scores() -> None:
    logits = torch.randn(1, 4).expand(4, -1)
    loss = hazard_loss(logits, CUTS, CUTS, torch.zeros(4))
    torch.testing.assert_close(survival_curve(logits)[0], (-loss).exp())


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


def test_toxicity_is_the_mean_over_known_labels(federation: Federation) -> None:
    task = federation.tasks[2]
    logits, labels = torch.tensor([[0.7, -1.2]]).expand(4, -1), torch.tensor([[1.0, 0.0]]).expand(4, -1)
    known = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    rash, nausea = math.log1p(math.exp(-0.7)), math.log1p(math.exp(-1.2))
    expected = torch.tensor([(rash + nausea) / 2, rash, nausea, 0.0])
    torch.testing.assert_close(task.loss(logits, labels, known, None), expected)


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
