"""Faithful scores win by deletion, and a shuffled network disagrees."""

import numpy as np
import pytest
import torch
from torch import nn

from common.explanation.patient import Patient
from common.explanation.targets import Explained
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch
from simulations.benchmarks.explaining.measures import (
    agreement,
    area,
    deletion,
    in_common,
    random_deletion,
    shuffled,
)

TARGET = Explained("risk", "", None, "", "log-odds", 1.0, lambda logits: logits[:, 0])


class Linear(SharedModel):
    """Log-odds 1 x_1 + 2 x_2 ... of ten values."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(10.0) - 4.5)

    def forward(self, batch: PatientBatch) -> dict[str, torch.Tensor]:
        return {"risk": (batch.values["a"] @ self.weight)[:, None]}

    def example(self) -> PatientBatch:
        return PatientBatch({"a": torch.ones(1, 10)}, {"a": torch.ones(1, 10, dtype=torch.bool)}, {}, {})


@pytest.fixture
def patient() -> Patient:
    model = Linear()
    return Patient(model, model.example())


def test_deletion_is_the_difference_of_what_is_left(patient: Patient) -> None:
    def number(kept: torch.Tensor) -> torch.Tensor:
        return patient.at(TARGET, {"a": kept * patient.batch.values["a"]})

    scores = {"a": torch.arange(10.0)}
    assert deletion(number, scores, 0.1) == pytest.approx(9.0)
    assert deletion(number, scores, 0.2) == pytest.approx(16.0)
    assert deletion(number, {"a": -scores["a"]}, 0.1) == pytest.approx(-9.0)
    faithful = patient.attribution(TARGET).values
    assert deletion(number, faithful, 0.1) == pytest.approx(9.0)
    assert abs(random_deletion(number, 10, 0.1, 400, 0)) < 1.0


def test_an_area_is_one_for_scores_that_tell_all_apart() -> None:
    positive = np.array([True, False, True, False])
    assert area(positive, np.array([3.0, 1.0, 2.0, 0.0])) == 1.0
    assert area(positive, np.array([0.0, 1.0, 2.0, 3.0])) == 0.25
    assert area(positive, np.zeros(4)) == 0.5
    assert np.isnan(area(np.ones(4, dtype=bool), np.zeros(4)))


def test_the_largest_in_common_are_counted_over_pairs() -> None:
    sizes = np.array([[9.0, 8, 1, 0], [9, 0, 8, 1], [0, 1, 8, 9]])
    assert in_common(sizes, 0.5) == pytest.approx((1 + 0 + 1) / 2 / 3)
    assert in_common(sizes[:1].repeat(2, 0), 0.1) == 1.0


def test_agreement_is_a_rank_correlation_of_values_that_are_used() -> None:
    scores = {"a": torch.tensor([3.0, -2.0, 1.0, 0.0])}
    assert agreement(scores, scores) == pytest.approx((1.0, 1.0))
    assert agreement(scores, {"a": -scores["a"]}) == pytest.approx((-1.0, 1.0))
    extended = {"a": torch.cat([scores["a"], torch.zeros(20)])}
    other = {"a": torch.cat([torch.tensor([1.0, 2.0, -1.0, 0.0]), torch.zeros(20)])}
    assert agreement(extended, other)[0] == pytest.approx(-0.5)


def test_a_shuffled_network_has_the_same_numbers_elsewhere() -> None:
    model = Linear()
    other = shuffled(model, 0)
    assert isinstance(other, Linear)
    assert torch.equal(other.weight.sort().values, model.weight)
    assert not torch.equal(other.weight, model.weight)
    assert torch.equal(model.weight, torch.arange(10.0) - 4.5)
