"""Per-patient gradients against one-patient-at-a-time backward passes; what clipping promises."""

import itertools
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from client.privacy.clipping import PerPatient, patient_gradients
from common.patients.batch import PatientBatch
from tests.client.privacy.clipping_case import (
    MODALITIES,
    TASKS,
    MakeBatch,
    MakeCase,
    converted,
    errors,
    norms,
    worst,
    worst_alone,
)

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")


@pytest.mark.parametrize("contrastive", [0.0, 0.7])
@pytest.mark.parametrize("tasks", [*((task,) for task in TASKS), TASKS], ids="+".join)
def test_gradients_are_those_of_one_patient_at_a_time(
    make_case: MakeCase, every_pattern: PatientBatch, tasks: tuple[str, ...], contrastive: float
) -> None:
    case = make_case(tasks, contrastive)
    found, expected = case.together(every_pattern), case.alone(every_pattern)
    assert worst(found, expected) < 1e-10
    assert worst_alone(found, expected) < 1e-10
    # A softmax over keys does not see the keys' bias.
    still = {"cross.key.bias", "fusion.0.attention.key.bias"}
    assert {name for name, own in expected.items() if float(own.abs().max()) < 1e-14} == still


def test_gradients_in_single_precision_are_within_a_hundred_thousandth(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case(contrastive=0.7, dtype=torch.float32)
    batch = converted(every_pattern, torch.float32)
    together, alone = case.together(batch), case.alone(batch)
    assert worst(together, alone) < 1e-5
    case.model.double()
    case.cuts = {name: own.double() for name, own in case.cuts.items()}
    exact = case.alone(converted(batch, torch.float64))
    own = norms(exact)
    counts = own > 1e-8 * own.norm(dim=0)
    # Small gradients are differences of large numbers: an ordinary backward pass in single precision loses as much.
    allowed = 1e-5 * own + 10 * errors(alone, exact)
    assert (errors(together, exact) <= allowed)[counts].all()
    assert worst_alone(case.together(converted(batch, torch.float64)), exact) < 1e-10


@pytest.mark.parametrize("patients", [1, 2])
def test_few_patients_have_the_same_gradients(
    make_case: MakeCase, every_pattern: PatientBatch, patients: int
) -> None:
    case = make_case()
    for start in range(16):
        few = every_pattern.select(torch.arange(start, min(start + patients, 16)))
        assert worst(case.together(few), case.alone(few)) < 1e-10


def test_a_patient_with_nothing_observed_and_no_label_has_no_gradient(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case()
    for known in every_pattern.labelled.values():
        known[0] = False
    assert all(float(own[0].abs().max()) == 0 for own in case.together(every_pattern).values())
    assert float(case.clipped(every_pattern.select(torch.tensor([0]))).norm()) == 0


def test_another_patient_changes_nobody_else_s_gradient(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case(contrastive=0.7)
    before = case.together(every_pattern)
    every_pattern.values["rna"][15] *= 1e3
    after = case.together(every_pattern)
    assert max(float((after[name][:15] - own[:15]).abs().max()) for name, own in before.items()) < 1e-12


def test_frozen_parameters_are_left_out_and_the_others_stay(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case()
    whole = case.alone(every_pattern)
    for frozen in (lambda name: "scores" not in name, lambda name: name.startswith("branches.rna.")):
        for name, own in case.model.named_parameters():
            own.requires_grad_(not frozen(name))
        found = case.together(every_pattern)
        assert found.keys() == {name for name in whole if not frozen(name)}
        assert worst(found, {name: whole[name] for name in found}) < 1e-10


def test_the_clipped_sum_is_the_sum_of_clipped_gradients(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case(contrastive=0.7)
    flat = torch.cat([own.flatten(1) for own in case.alone(every_pattern).values()], dim=1)
    norms = flat.norm(dim=1)
    for clip_norm in (float(norms.min()) / 2, float(norms.median()), 2 * float(norms.max())):
        expected = (flat * (clip_norm / norms).clamp(max=1)[:, None]).sum(0)
        assert float((case.clipped(every_pattern, clip_norm) - expected).norm()) < 1e-5 * clip_norm


@given(
    batches=st.tuples(st.integers(0, 2**16), st.lists(st.integers(-3, 5), min_size=1, max_size=7)),
    scale=st.sampled_from([0.1, 1.0, 10.0]),
    clip_norm=st.sampled_from([1e-3, 1.0, 50.0]),
    contrastive=st.sampled_from([0.0, 1.0]),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_without_any_one_patient_the_sum_moves_by_the_clip_norm_at_most(
    make_case: MakeCase,
    make_batch: MakeBatch,
    batches: Any,
    scale: float,
    clip_norm: float,
    contrastive: float,
) -> None:
    """Any patients' values, from 1e-3 to 1e5 standard deviations, and weights as steep as can be."""
    case = make_case(contrastive=contrastive, scale=scale)
    seed, powers = batches
    batch = converted(make_batch(len(powers), seed), torch.float64)
    for values in batch.values.values():
        values *= 10.0 ** torch.tensor(powers, dtype=torch.float64)[:, None]
    whole = case.clipped(batch, clip_norm)
    for place in range(len(batch)):
        others = torch.arange(len(batch)) != place
        moved = float((whole - case.clipped(batch.select(others), clip_norm)).norm())
        assert moved <= clip_norm * (1 + 1e-5)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(bad, dtype) for bad in (torch.inf, torch.nan) for dtype in (torch.float32, torch.float64)]
    + [(1e30, torch.float32), (1e300, torch.float64)],
)
def test_a_patient_without_a_finite_gradient_adds_nothing(
    make_case: MakeCase, every_pattern: PatientBatch, value: float, dtype: torch.dtype
) -> None:
    case = make_case(dtype=dtype, contrastive=0.7)
    batch = converted(every_pattern, dtype)
    others = case.clipped(batch.select(torch.arange(15)))
    for name in MODALITIES:
        batch.values[name][15] = value
    assert not case.loss(batch)[15].isfinite()
    assert float((case.clipped(batch) - others).norm()) < 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("steep", [1e10, 1e25, 1e37])
def test_a_norm_beyond_the_squares_of_single_precision_is_clipped_as_any_other(steep: float) -> None:
    linear, patients = nn.Linear(3, 2), torch.tensor([[1.0, 2.0, 2.0], [-0.5, 0.0, 0.0]])

    def loss(patient: Tensor) -> Tensor:
        summed: Tensor = linear(patient).sum(1)
        return steep * summed

    with patient_gradients(linear) as gradients:
        for patient in patients.split(1):
            sums = gradients.clipped_sum(partial(loss, patient), 1, 1.0)
            norm = float(torch.cat([own.flatten() for own in sums]).norm())
            assert norm == pytest.approx(1.0, rel=1e-5)
            assert norm <= 1 + 1e-6


def test_factors_are_multiplied_where_neither_is_lost() -> None:
    tiny, huge = torch.full((2, 4), 1e-25), torch.full((2, 4), 1e25)
    parameter = torch.zeros(4, 4)
    norms = PerPatient(parameter, None, tiny, huge).norms()
    torch.testing.assert_close(norms, torch.full((2,), 4.0, dtype=torch.float64))


def test_nobody_s_sum_is_zero_and_the_loss_is_not_asked(make_case: MakeCase) -> None:
    case = make_case()
    with patient_gradients(case.model) as gradients:
        sums = gradients.clipped_sum(lambda: pytest.fail("asked"), 0, 1.0)
    assert [own.shape for own in sums] == [own.shape for own in case.model.parameters()]
    assert {own.dtype for own in sums} == {torch.float64}
    assert all(float(own.abs().sum()) == 0 for own in sums)


def test_ordinary_gradients_are_not_computed_and_nothing_stays_on_the_model(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case()
    case.clipped(every_pattern)
    assert all(own.grad is None for own in case.model.parameters())
    with pytest.raises(ZeroDivisionError), patient_gradients(case.model) as gradients:
        gradients.clipped_sum(lambda: case.loss(every_pattern) / (1 // 0), 16, 1.0)
    hooks = [(m._forward_hooks, m._forward_pre_hooks, m._backward_hooks) for m in case.model.modules()]
    assert not any(itertools.chain.from_iterable(hooks))
