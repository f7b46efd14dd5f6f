"""Clipped sums in slots: no patient moves them by more than the clip norm, whatever weights a coordinator sends."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from client.privacy.clipping import patient_gradients
from client.privacy.slots import Slot, clipped_sums, in_slots
from common.models.branch import Branch
from common.models.shared import PartialModule
from common.patients.batch import PatientBatch
from tests.attacks.attack_table import AttackRow
from tests.client.privacy.clipping_case import MakeCase, converted
from tests.client.privacy.rounding_attack import (
    agreement,
    craft,
    hold_by_other_kernels,
    require_thresholds,
    thresholds,
)

MakeBatch = Callable[..., PatientBatch]


@pytest.mark.attack
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("learn", ["linear", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_weights_that_make_rounding_decide_move_nothing_but_the_patient_who_left(
    dtype: torch.dtype,
    learn: str,
    threads: int,
    use_threads: Callable[[int], None],
    attack_row: AttackRow,
) -> None:
    use_threads(threads)
    federation = agreement(100, learn)
    sizes = thresholds(federation, dtype, 40)
    require_thresholds(sizes)
    attacks = {rows: craft(federation, rows, dtype) for rows in sizes}
    worst = 0.0
    for rows, attack in attacks.items():
        if attack is not None:
            worst = max(worst, *(attack.sensitivity(patients) for patients in (rows, rows + 32)))
    # The attack is one: computed all at once, other patients' gradients turn.
    alive = [
        attack.sensitivity(rows, in_slots=False) for rows, attack in attacks.items() if attack is not None
    ]
    assert max(alive) > 1.5
    attack_row(
        f"rounding by the number of rows ({learn}, {str(dtype)[6:]}, {threads} threads)",
        "<= 1.0001 clip norms",
        f"{worst:.6f} at {len(sizes)} thresholds",
    )
    assert worst <= 1.0001


@pytest.mark.attack
def test_slots_hold_with_kernels_that_round_by_the_number_of_rows(attack_row: AttackRow) -> None:
    hold_by_other_kernels(__file__, "make_rounding_decide", agreement(100))
    attack_row(
        "rounding by the number of rows, kernels of a plain process", "<= 1.0001 clip norms", "all held"
    )


@pytest.mark.parametrize("slot", [Slot(1, 1), Slot(4, 2), Slot(16, 8), Slot(32, 32)], ids=str)
def test_sums_in_slots_are_those_of_all_at_once(
    make_case: MakeCase, every_pattern: PatientBatch, slot: Slot
) -> None:
    """Every pattern of modalities, with both views of a patient compared."""
    case = make_case(contrastive=0.7)
    expected = case.clipped(every_pattern)
    with patient_gradients(case.model) as gradients:
        sums = clipped_sums(gradients, every_pattern, case.loss, slot, 1.0)
    assert float((torch.cat([total.flatten() for total in sums]) - expected).norm()) < 1e-10
    assert {total.dtype for total in sums} == {torch.float64}


@pytest.mark.parametrize("slot", [Slot(4, 2), Slot(8, 8)], ids=str)
def test_every_product_has_a_shape_that_no_patient_can_change(
    make_case: MakeCase, every_pattern: PatientBatch, slot: Slot
) -> None:
    case = make_case(dtype=torch.float32)
    batch = converted(every_pattern, torch.float32)

    def shapes(drawn: PatientBatch) -> dict[str, set[tuple[int, ...]]]:
        seen: dict[str, set[tuple[int, ...]]] = {}
        hooks = [
            module.register_forward_hook(
                lambda _, given, found, name=name: seen.setdefault(name, set()).add(tuple(given[0].shape))
            )
            for name, module in case.model.named_modules()
            if isinstance(module, nn.Linear | nn.LayerNorm)
        ]
        with patient_gradients(case.model) as gradients:
            clipped_sums(gradients, drawn, case.loss, slot, 1.0)
        for hook in hooks:
            hook.remove()
        return seen

    whole = shapes(batch)
    assert all(len(found) == 1 for found in whole.values())
    for patients in (range(1), range(3), range(5, 16), range(15)):
        some = shapes(batch.select(torch.tensor(patients)))
        assert all(found == whole[name] for name, found in some.items())


def test_parts_get_their_number_of_rows_and_lose_it_again(make_case: MakeCase) -> None:
    model = make_case().model
    parts = [module for module in model.modules() if isinstance(module, PartialModule)]
    assert len(parts) == 4
    parts[0].worthwhile, parts[1].worthwhile = 5, 1
    with in_slots(model, Slot(16, 2)):
        assert [part.slot for part in parts] == [4, 2, 16, 16]
    assert [part.slot for part in parts] == [0, 0, 0, 0]


def test_nobody_adds_nothing_even_where_weights_overflow(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    case = make_case(dtype=torch.float32)
    with torch.no_grad():
        for parameter in case.model.parameters():
            parameter.mul_(1e30)
    with patient_gradients(case.model) as gradients:
        sums = clipped_sums(gradients, converted(every_pattern, torch.float32), case.loss, Slot(32, 8), 1.0)
    assert all(bool(total.isfinite().all()) for total in sums)


def test_of_nobody_the_loss_is_not_asked(make_case: MakeCase, every_pattern: PatientBatch) -> None:
    case = make_case()

    def loss(records: PatientBatch) -> Tensor:
        pytest.fail("asked")

    with patient_gradients(case.model) as gradients:
        sums = clipped_sums(gradients, every_pattern.select(torch.arange(0)), loss, Slot(8, 8), 1.0)
    assert all(float(total.abs().sum()) == 0 for total in sums)


def test_a_branch_in_slots_gives_what_it_gives_at_once(
    make_case: MakeCase, every_pattern: PatientBatch
) -> None:
    model = make_case().model.eval()
    branch = model.branches["rna"]
    assert isinstance(branch, Branch)
    given = every_pattern.values["rna"], every_pattern.observed["rna"], every_pattern.present("rna")
    token = branch(*given)
    with in_slots(model, Slot(16, 2)):
        branch.slot = 3
        slotted = branch(*given)
        assert branch.rows is None
    torch.testing.assert_close(slotted, token)
