"""The search for a slot at which this machine rounds every patient alike."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from client.privacy.arithmetic import ALONE, LARGEST, is_steady, steady_slot
from client.privacy.clipping import patient_gradients
from client.privacy.slots import Slot
from common.patients.batch import PatientBatch
from common.patients.guarantee import made_up_patients
from tests.client.privacy.clipping_case import Case, MakeCase


def made_up(case: Case) -> PatientBatch:
    return made_up_patients(case.federation, LARGEST)


class Placed(nn.Module):
    """A layer's output, rounded by the place of its row from a number of rows on."""

    def __init__(self, layer: nn.Module, rows: int) -> None:
        super().__init__()
        self.layer, self.rows = layer, rows

    def forward(self, given: Tensor) -> Tensor:
        found: Tensor = self.layer(given)
        if len(given) < self.rows:
            return found
        last = torch.arange(len(given)) == len(given) - 1
        return torch.where(last.view(-1, *[1] * (found.dim() - 1)), found * (1 + 2**-20), found)


class Crowded(nn.Module):
    """A layer's output, rounded by whether another row holds anything."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.weight, self.out_features = layer, layer.weight, 8

    def forward(self, given: Tensor) -> Tensor:
        found: Tensor = self.layer(given)
        return found * (1 + 2**-20 * float((given.detach().abs().sum(1) > 1.5).float().mean() > 0.5))


def test_this_machine_has_a_slot_for_many(make_case: MakeCase) -> None:
    case = make_case(dtype=torch.float32)
    slot = steady_slot(case.model, case.loss, False, made_up(case), LARGEST)
    assert slot.units == LARGEST


@pytest.mark.parametrize(("most", "units"), [(0, 1), (1, 1), (3, 2), (8, 8), (31, 16), (500, LARGEST)])
def test_no_more_patients_than_memory_has_room_for(make_case: MakeCase, most: int, units: int) -> None:
    case = make_case(dtype=torch.float32)
    assert steady_slot(case.model, case.loss, False, made_up(case), most).units == units


def test_places_that_round_apart_make_slots_smaller(
    make_case: MakeCase, caplog: pytest.LogCaptureFixture
) -> None:
    case = make_case(dtype=torch.float32)
    case.model.heads["response"] = Placed(case.model.heads["response"], rows=8)
    with caplog.at_level(logging.WARNING):
        assert steady_slot(case.model, case.loss, False, made_up(case), LARGEST) == Slot(4, 4)
    assert [getattr(record, "code", None) for record in caplog.records] == ["small-slots"]


def test_neighbours_that_count_leave_a_patient_alone(make_case: MakeCase) -> None:
    case = make_case(dtype=torch.float32)
    case.model.patient = Crowded(case.model.patient)  # type: ignore[assignment]
    assert steady_slot(case.model, case.loss, False, made_up(case), LARGEST) == ALONE


def test_ragged_records_are_computed_alone(make_case: MakeCase) -> None:
    case = make_case(dtype=torch.float32)
    case.model.ragged = True
    assert steady_slot(case.model, case.loss, False, made_up(case), LARGEST) == ALONE


def test_weights_stay_and_the_search_is_made_once(make_case: MakeCase) -> None:
    case, asked = make_case(dtype=torch.float32), []
    before = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}

    def loss(records: PatientBatch) -> Tensor:
        asked.append(len(records))
        return case.loss(records)

    first = steady_slot(case.model, loss, False, made_up(case), LARGEST)
    passes = len(asked)
    assert passes == 5
    assert steady_slot(case.model, loss, False, made_up(case), LARGEST) == first
    assert len(asked) == passes
    after = case.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_slot_is_tried_with_every_tensor_of_gradients(make_case: MakeCase) -> None:
    case = make_case(dtype=torch.float32)
    branch: Any = case.model.branches["imaging"]
    branch.squeeze = Placed(branch.squeeze, rows=2)
    with patient_gradients(case.model) as gradients:
        assert not is_steady(gradients, case.loss, made_up(case), Slot(16, 16))
