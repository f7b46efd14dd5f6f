"""No sum that a few patients are behind leaves a hospital."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST
from common.patients.batch import PatientBatch
from common.patients.preprocessing import combine, site_statistics
from tests.common.columns import batch_of, mixed_federation, numbers, one_number

FEW_OR_NOT = [(0, 20), (1, 0), (4, 0), (5, 20), (15, 20), (16, 0), (19, 0), (20, 20)]
"""(patients of 20 who have it, patients reported) at a minimum of five; nobody in a part tells of nobody."""


@pytest.mark.parametrize(("having", "reported"), FEW_OR_NOT)
def test_a_level_is_withheld_when_few_have_it_or_few_lack_it(
    federation: Federation, make_batch: Callable[..., PatientBatch], having: int, reported: int
) -> None:
    batch = make_batch(20)
    level = (torch.arange(20) < having).float()
    batch.values["clinical"][:, 1:] = torch.stack([level, 1 - level], dim=1)
    batch.observed["clinical"][:, 1:] = True
    batch.values["clinical"][:, 0] = torch.linspace(20, 80, 20)
    batch.observed["clinical"][:, 0] = True
    reply = site_statistics(batch, federation)
    assert reply.moments["modality:clinical"][0].tolist() == [20, reported, reported]
    assert reply.moments["modality:clinical"][1, 1:].tolist() == (
        [having, 20 - having] if reported else [0, 0]
    )
    assert reply.withheld["modality:clinical"] == (0 if reported else 2)


@pytest.mark.parametrize(("having", "reported"), FEW_OR_NOT)
def test_a_column_of_zeros_and_ones_is_withheld_when_few_have_either(having: int, reported: int) -> None:
    """Make a gene that is mutated or not, with six further patients who were not measured."""
    batch = numbers([float(place < having) for place in range(20)] + [0.0] * 6)
    batch.observed["rna"][20:] = False
    reply = site_statistics(batch, one_number())
    assert reply.moments["modality:rna"][:, 0].tolist() == ([20, having, having] if reported else [0, 0, 0])
    assert reply.withheld["modality:rna"] == (not reported)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("others", "reported"),
    [
        ([137.5, 52.25], False),
        ([1.0, 2.0, 3.0, 4.0], False),
        ([1.0, 2.0, 3.0, 4.0, 5.0], True),
        ([-3.0, -2.0, 1.0, 2.0, 3.0], True),
        ([0.1, 0.1, 0.1, 137.5, 52.25], False),
        ([9.0, 0.1, 0.2, 0.3, 0.4, 0.5], False),
        ([4.0, 4.0, 1.0, 1.0, 2.0, 2.0], True),
    ],
)
@pytest.mark.parametrize("common", [0.0, 74.0, -2.5])
def test_sums_tell_of_enough_patients_outside_the_commonest_value(
    others: list[float], reported: bool, common: float
) -> None:
    """Two of them are two unknowns in the two equations of sum and squares; two far ones are nearly so."""
    values = [common] * 18 + [common + other for other in others]
    reply = site_statistics(numbers(values), one_number())
    sums = reply.moments["modality:rna"][:, 0]
    assert sums[0] == len(values) * reported
    assert sums[1] == pytest.approx(sum(values) if reported else 0.0, rel=1e-6)
    assert reply.withheld["modality:rna"] == (not reported)


def test_sums_of_one_value_that_enough_patients_share_are_reported() -> None:
    reply = site_statistics(numbers([2.0] * 5), one_number())
    assert reply.moments["modality:rna"][:, 0].tolist() == [5, 10, 20]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("times", "reported"),
    [([12.0] * 10 + [3.0, 40.0], 0), ([12.0] * 10 + [3.0, 40.0, 7.0, 9.0, 30.0], 15)],
)
def test_times_of_two_patients_are_withheld_where_all_others_share_one(
    federation: Federation, make_batch: Callable[..., PatientBatch], times: list[float], reported: int
) -> None:
    batch = make_batch(len(times) + 5)
    batch.labelled["survival"][:] = True
    events = torch.tensor([1.0] * len(times) + [0.0] * 5)
    batch.labels["survival"] = torch.stack([torch.tensor([*times, 1.0, 2.0, 3.0, 4.0, 5.0]), events], dim=1)
    assert site_statistics(batch, federation, 5).moments["survival:survival"][0].tolist() == [reported]


@pytest.mark.parametrize(
    ("having", "reported"),
    [((20, 10, 2), False), ((20, 12, 0), True), ((20, 7, 5), True), ((32, 0, 0), True), ((28, 4, 0), False)],
)
def test_no_level_can_be_had_by_subtracting_the_others(having: tuple[int, ...], reported: bool) -> None:
    """The levels add up to the patients: with two of three reported, the third would be no secret."""
    levels = torch.eye(3)[torch.arange(3).repeat_interleave(torch.tensor(having))]
    other = torch.eye(2)[torch.arange(32) % 2]
    values = torch.cat([levels, other], dim=1)
    reply = site_statistics(batch_of(values, torch.ones_like(values).bool()), mixed_federation(0, 5))
    sums = reply.moments["modality:rna"]
    assert sums[0].tolist() == [32 * reported] * 3 + [32, 32]
    assert sums[1].tolist() == [count * reported for count in having] + [16, 16]
    assert reply.withheld["modality:rna"] == (0 if reported else 3)


def two_make_the_spread(values: NDArray[np.float32], least: int) -> bool:
    """Whether two patients, or `least` - 1 if that is less, make up 85% of the squares around the median."""
    ordered = np.sort(values.astype(np.float64))
    squares = np.sort((ordered - ordered[(len(ordered) - 1) // 2]) ** 2)[::-1]
    return bool(squares[: min(2, least - 1)].sum() > 0.85 * squares.sum())


@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    ones=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    stages=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    least=st.integers(1, 8),
    seed=st.integers(0, 50),
)
@settings(deadline=None, max_examples=100)
def test_no_count_below_the_minimum_ever_leaves(
    counts: list[int], ones: list[int], stages: list[int], least: int, seed: int
) -> None:
    """Columns of any numbers, columns of 0 and 1, and two categories, of which one may be unknown (3)."""
    patient = torch.arange(12)[:, None]
    draw = torch.Generator().manual_seed(seed)
    measured = patient < torch.tensor(counts)
    tested = torch.rand(12, len(ones), generator=draw) < 0.8
    staged = torch.tensor(stages)[:, None]
    observed = torch.cat(
        [measured, tested, (staged < 3).expand(-1, 3), torch.ones(12, 2, dtype=torch.bool)], 1
    )
    values = torch.cat(
        [
            torch.randn(measured.shape, generator=draw),
            patient < torch.tensor(ones),
            staged == torch.arange(3),
            patient % 2 == torch.arange(2),
        ],
        dim=1,
    )
    batch = batch_of(values * observed, observed)
    reply = site_statistics(batch, mixed_federation(len(counts) + len(ones), least))
    sums = reply.moments["modality:rna"]
    some, every = batch.values["rna"].sum(0).numpy(), observed.sum(0).numpy()
    parts = np.stack([some, every - some])
    safe = (every >= least) & ((parts == 0) | (parts >= least)).all(0)
    for place, number in enumerate(counts):  # of different numbers, one is the commonest
        enough = number - 1 >= least or number == 1 == least
        safe[place] = enough and not two_make_the_spread(batch.values["rna"][:number, place].numpy(), least)
    start = len(counts) + len(ones)
    for levels in (slice(start, start + 3), slice(start + 3, None)):
        safe[levels] = safe[levels].all()
    np.testing.assert_array_equal(sums[0], np.where(safe, every, 0))
    np.testing.assert_array_equal(sums[1, len(counts) :], np.where(safe, some, 0)[len(counts) :])
    assert not sums[:, ~safe].any()
    assert reply.withheld == {"modality:rna": (~safe).sum()}


def test_a_rare_value_of_two_is_withheld_however_it_is_coded() -> None:
    federation = mixed_federation(2, 5)
    coded = torch.tensor([[1.0] * 28 + [2.0] * 4, [1.0] * 20 + [2.0] * 12]).t()
    levels = torch.cat([torch.eye(3)[torch.arange(32) % 3], torch.eye(2)[torch.arange(32) % 2]], dim=1)
    values = torch.cat([coded, levels], dim=1)
    reply = site_statistics(batch_of(values, torch.ones_like(values).bool()), federation)
    assert reply.moments["modality:rna"][:, 0].tolist() == [0, 0, 0]
    assert reply.moments["modality:rna"][:, 1].tolist() == [32, 44, 68]


def test_a_site_without_patients_has_nothing_to_report() -> None:
    federation = mixed_federation(2, 1)
    nobody = torch.zeros(0, 7)
    reply = site_statistics(batch_of(nobody, nobody.bool()), federation)
    assert not reply.moments["modality:rna"].any()
    assert reply.withheld == {"modality:rna": 7}


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, False),
        ({"plausible": {"low": 0}}, False),
        ({"plausible": {"high": 1}}, False),
        ({"plausible": {"low": 0, "high": 1}}, True),
        ({"plausible": {"low": -LARGEST, "high": LARGEST}}, True),
        ({"plausible": {"low": 0, "high": 9}}, False),
        ({"plausible": {"low": -9, "high": 0}}, False),
        ({"plausible": {"low": 0, "high": 900}, "ranges": {"G": {"low": 0, "high": 1}}}, True),
        ({"plausible": {"low": 0, "high": 900}, "clip": [-5, 5]}, True),
        ({"clip": [-5, 9]}, False),
        ({"transform": "signed_log"}, True),
        ({"scale": "none"}, True),
    ],
)
def test_what_no_site_could_report_is_kept_as_it_is_only_within_a_narrow_range(
    changes: dict[str, object], kept: bool
) -> None:
    plain = one_number().model_dump(mode="json")
    plain["modalities"][0] |= {"categories": {"sex": ["f", "m"]}} | changes
    federation = Federation.model_validate(plain, strict=False)
    levels = torch.tensor([[0.0, 1.0]] * 3 + [[1.0, 0.0]] * 20)  # three of one sex: withheld too
    values = torch.cat([torch.linspace(0.1, 1.0, 23)[:, None], levels], dim=1)
    observed = torch.ones_like(values).bool()
    observed[4:, 0] = False
    batch = batch_of(values * observed, observed)
    found = combine([site_statistics(batch, federation)] * 2, federation)
    assert found.center["rna"].tolist() == [0, 0, 0]
    assert found.spread["rna"].tolist() == [1 if kept else np.inf, 1, 1]
    done = found.apply(batch)
    assert torch.equal(done.values["rna"][:, 1:], levels)
    assert done.observed["rna"][:, 1:].all()
    if kept:
        assert torch.equal(done.values["rna"], batch.values["rna"])
        assert torch.equal(done.observed["rna"], observed)
    else:
        assert not done.values["rna"][:, 0].any()
        assert not done.observed["rna"][:, 0].any()
        assert observed[:4, 0].all(), "the batch itself must stay as it was"
