"""Agreement is what trainings name in common among the values that matter most."""

from itertools import combinations

import pytest
import torch

from common.agreement.federation import Federation
from common.explanation.agreement import LEAST_IN_COMMON, agreement_of, by_column, mean_attribution
from common.explanation.path import Attribution
from common.patients.batch import PatientBatch

COLUMNS = 2 + 12 + 3 + 4


def contributions(federation: Federation, largest: list[int], sign: float = 1.0) -> dict[str, torch.Tensor]:
    """Contributions of 0.01, and of 1 for some columns in the order of the file."""
    flat = torch.full((COLUMNS,), 0.01, dtype=torch.double)
    flat[largest] = sign
    age, sex, rest = flat[:1], flat[1:2], flat[2:]
    parts = rest.split([12, 3, 4])
    return {
        "clinical": torch.cat([age, sex / 4, sex * 3 / 4]),
        **dict(zip(("rna", "protein", "imaging"), parts, strict=True)),
    }


def one(whole: PatientBatch) -> PatientBatch:
    return whole.select(torch.tensor([0]))


def test_levels_of_a_category_are_one_value(federation: Federation) -> None:
    columns = by_column(federation, contributions(federation, [1]))
    assert columns.shape == (COLUMNS,)
    assert columns[1] == pytest.approx(1.0)


def test_trainings_that_name_the_same_values_agree(federation: Federation, whole: PatientBatch) -> None:
    same = [contributions(federation, [3, 8, 20])] * 3
    made = agreement_of(federation, one(whole), same)
    assert made is not None
    assert (made.models, made.values, made.in_common, made.same_direction) == (3, 3, 1.0, 1.0)
    assert not made.unstable
    assert "UNSTABLE" not in made.line()


def test_trainings_that_name_others_are_unstable(federation: Federation, whole: PatientBatch) -> None:
    tops = [[3, 8, 20], [3, 8, 11], [3, 14, 15]]
    made = agreement_of(federation, one(whole), [contributions(federation, top) for top in tops])
    assert made is not None
    shared = [len({*a} & {*b}) / 3 for a, b in combinations(tops, 2)]
    assert made.in_common == pytest.approx(sum(shared) / 3)
    assert made.unstable is (made.in_common < LEAST_IN_COMMON) is True
    assert "UNSTABLE" in made.line()


def test_opposite_directions_are_seen(federation: Federation, whole: PatientBatch) -> None:
    top = [3, 8, 20]
    signs = [contributions(federation, top, sign) for sign in (1.0, 1.0, -0.9)]
    made = agreement_of(federation, one(whole), signs)
    assert made is not None
    assert made.in_common == 1.0
    assert made.same_direction == pytest.approx(1 / 3)


def test_values_that_are_not_measured_do_not_count(federation: Federation, whole: PatientBatch) -> None:
    patient = one(whole)
    observed = {name: mask & (name == "rna") for name, mask in patient.observed.items()}
    patient = PatientBatch(patient.values, observed, {}, {})
    made = agreement_of(federation, patient, [contributions(federation, top) for top in ([3, 8], [3, 9])])
    assert made is not None
    assert (made.values, made.in_common) == (2, 0.5)


def test_of_a_single_training_nothing_is_known(federation: Federation, whole: PatientBatch) -> None:
    assert agreement_of(federation, one(whole), [contributions(federation, [3])]) is None


def test_the_mean_of_attributions_adds_up_as_they_do() -> None:
    first = Attribution({"rna": torch.tensor([1.0, 2.0])}, {"rna": torch.zeros(2)}, 0.0, 3.5, 32)
    second = Attribution({"rna": torch.tensor([3.0, 0.0])}, {"rna": torch.ones(2)}, 1.0, 3.5, 64)
    mean = mean_attribution([first, second])
    assert mean.values["rna"].tolist() == [2.0, 1.0]
    assert mean.linear["rna"].tolist() == [0.5, 0.5]
    assert (mean.start, mean.end, mean.steps) == (0.5, 3.5, 64)
    assert mean.gap == pytest.approx((first.gap + second.gap) / 2)
