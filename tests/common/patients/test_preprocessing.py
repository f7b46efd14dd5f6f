"""Sums of several hospitals become the scaling and the hazard intervals of all their patients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import lognorm

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST, Modality
from common.agreement.settings import Statistics
from common.errors import InvalidContentError
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import combine, site_statistics
from common.tasks.survival import SurvivalTask
from tests.common.columns import numbers, one_number

SIZES = (23, 61, 40)


@pytest.fixture
def sites(make_batch: Callable[..., PatientBatch]) -> list[PatientBatch]:
    """Three hospitals with different units of the same features, with gaps."""
    return [shifted(make_batch(size, seed), seed) for seed, size in enumerate(SIZES)]


def shifted(batch: PatientBatch, seed: int) -> PatientBatch:
    values = {
        name: (tensor * 3 ** (seed + 1) + 10 * seed - 4) * batch.observed[name]
        for name, tensor in batch.values.items()
    }
    levels = torch.nn.functional.one_hot((100 * values["clinical"][:, 0]).long() % 2, 2).float()
    known = batch.observed["clinical"][:, 1:2].expand(-1, 2)
    values["clinical"] = torch.cat([values["clinical"][:, :1], levels * known], dim=1)
    observed = batch.observed | {"clinical": torch.cat([batch.observed["clinical"][:, :1], known], dim=1)}
    return PatientBatch(values, observed, batch.labels, batch.labelled)


def pooled_moments(batch: PatientBatch, modality: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over observed values, straight from numpy."""
    values = np.where(batch.observed[modality], batch.values[modality].double(), np.nan)
    return np.nanmean(values, axis=0), np.nanstd(values, axis=0)


def assert_pooled(parts: list[PatientBatch], whole: PatientBatch, federation: Federation) -> None:
    found = combine([site_statistics(part, federation) for part in parts], federation)
    for modality in federation.modalities:
        mean, deviation = pooled_moments(whole, modality.name)
        np.testing.assert_allclose(found.center[modality.name], mean, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found.spread[modality.name], deviation, rtol=1e-6)


def test_combined_sums_are_the_pooled_mean_and_deviation(
    sites: list[PatientBatch], federation: Federation
) -> None:
    assert_pooled(sites, concatenate(sites), federation)


def test_the_sums_are_exact_before_they_are_rounded_to_single_precision(
    sites: list[PatientBatch], federation: Federation
) -> None:
    total = sum(site_statistics(site, federation).moments["modality:rna"] for site in sites)
    assert isinstance(total, np.ndarray)
    assert total.dtype == np.float64
    mean, deviation = pooled_moments(concatenate(sites), "rna")
    np.testing.assert_allclose(total[1] / total[0], mean, rtol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(total[2] / total[0] - (total[1] / total[0]) ** 2), deviation, rtol=1e-9
    )


def test_how_patients_are_spread_over_sites_does_not_matter(
    sites: list[PatientBatch], federation: Federation
) -> None:
    whole = concatenate(sites)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    parts = [whole.select(order[:20]), whole.select(order[20:80]), whole.select(order[80:])]
    # two patients of the widest hospital would rule a part
    assert_pooled(parts, whole, federation.model_copy(update={"statistics": Statistics(minimum_count=1)}))


def test_a_node_with_few_patients_is_withheld_and_the_others_stay_exact(
    sites: list[PatientBatch], federation: Federation
) -> None:
    least = federation.statistics.minimum_count
    seen = sites[0].observed["rna"][:, 0].nonzero().squeeze(1)
    sites[0].observed["rna"][seen[: len(seen) - (least - 1)], 0] = False
    sites[0].values["rna"].mul_(sites[0].observed["rna"])
    reply = site_statistics(sites[0], federation)
    assert reply.withheld["modality:rna"] == 1
    assert not reply.moments["modality:rna"][:, 0].any()
    found = combine([site_statistics(site, federation) for site in sites], federation)
    mean, deviation = pooled_moments(concatenate(sites[1:]), "rna")
    np.testing.assert_allclose(found.center["rna"][0], mean[0], rtol=1e-6)
    np.testing.assert_allclose(found.spread["rna"][0], deviation[0], rtol=1e-6)
    mean, deviation = pooled_moments(concatenate(sites), "rna")
    np.testing.assert_allclose(found.center["rna"][1:], mean[1:], rtol=1e-6)
    np.testing.assert_allclose(found.spread["rna"][1:], deviation[1:], rtol=1e-6)


def test_cuts_are_quantiles_of_the_log_normal_fitted_on_pooled_events(
    sites: list[PatientBatch], federation: Federation
) -> None:
    labels, known = (
        torch.cat([getattr(site, part)["survival"] for site in sites]) for part in ("labels", "labelled")
    )
    log_time = np.log1p(labels[(labels[:, 1] > 0) & known.all(1), 0].double().numpy())
    fitted = lognorm(s=log_time.std(), scale=np.exp(log_time.mean()))
    found = combine([site_statistics(site, federation) for site in sites], federation).cuts["survival"]
    np.testing.assert_allclose(found, fitted.ppf([1 / 4, 2 / 4, 3 / 4, 3.5 / 4]) - 1, rtol=1e-5)


def test_cuts_stay_positive_and_within_the_longest_follow_up(
    make_federation: Callable[..., Federation], make_batch: Callable[..., PatientBatch]
) -> None:
    task = SurvivalTask(name="survival", time="time", event="event", unit="months", longest=5, bins=12)
    federation = make_federation(tasks=(task,))
    batch = make_batch(60)
    batch.labels["survival"][:, 0] = torch.cat([torch.full((30,), 0.001), torch.full((30,), 4.9)])
    found = combine([site_statistics(batch, federation)], federation).cuts["survival"]
    assert len(found) == 12
    assert found.min() > 0
    assert found.max() <= 5
    assert (found.diff() > 0).all()


def test_too_few_events_are_withheld_and_none_at_all_is_an_input_error(
    sites: list[PatientBatch], federation: Federation
) -> None:
    for site in sites:
        events = (site.labels["survival"][:, 1] > 0).nonzero().squeeze(1)
        site.labels["survival"][events[4:], 1] = 0
    replies = [site_statistics(site, federation) for site in sites]
    assert [reply.withheld["survival:survival"] for reply in replies] == [1, 1, 1]
    with pytest.raises(InvalidContentError) as refused:
        combine(replies, federation)
    assert refused.value.where == "task survival"
    assert "minimum_count" in str(refused.value)


@given(
    value=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    patients=st.integers(5, 300),
    two=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_a_constant_feature_has_spread_one(value: float, patients: int, two: bool) -> None:
    federation = one_number()
    batch = numbers([value] * patients)
    found = combine([site_statistics(batch, federation)] * (1 + two), federation)
    assert found.spread["rna"].item() == 1
    assert found.center["rna"].item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
def test_the_unit_of_a_feature_does_not_matter(unit: float) -> None:
    batch, federation = numbers([unit * value for value in range(10)]), one_number()
    found = combine([site_statistics(batch, federation)], federation).apply(batch).values["rna"][:, 0]
    np.testing.assert_allclose(found, (np.arange(10) - 4.5) / np.std(np.arange(10)), rtol=1e-5)


def test_one_site_that_can_report_a_node_is_enough_for_all() -> None:
    federation = one_number()
    few, many = numbers([100.0, 300.0]), numbers([100.0, 200.0, 300.0] * 5)
    found = combine([site_statistics(part, federation) for part in (few, many)], federation)
    assert found.center["rna"].item() == 200
    done = found.apply(few)
    assert done.observed["rna"].all()
    np.testing.assert_allclose(done.values["rna"][:, 0], np.array([-1, 1]) * np.sqrt(3 / 2), rtol=1e-6)


def test_what_is_not_to_be_scaled_stays_as_it_is_and_what_nobody_reports_is_not_observed(
    make_federation: Callable[..., Federation], make_batch: Callable[..., PatientBatch]
) -> None:
    imaging = Modality(name="imaging", node="imaging", columns=("i1", "i2", "i3", "i4"), scale="none")
    federation = make_federation()
    federation = make_federation(modalities=(*federation.modalities[:-1], imaging))
    batch = make_batch(40)
    batch.observed["protein"][4:] = False
    batch.values["protein"][4:] = 0
    batch.values["imaging"].add_(7 * batch.observed["imaging"])
    reply = site_statistics(batch, federation)
    assert "modality:imaging" not in reply.moments
    assert reply.withheld["modality:protein"] == 3
    found = combine([reply], federation)
    assert found.center["protein"].tolist() == [0] * 3
    assert found.spread["protein"].tolist() == [np.inf] * 3
    assert found.center["imaging"].tolist() == [0] * 4
    assert found.spread["imaging"].tolist() == [1] * 4
    done = found.apply(batch)
    assert torch.equal(done.values["imaging"], batch.values["imaging"].clamp(max=LARGEST))
    assert torch.equal(done.observed["imaging"], batch.observed["imaging"])
    assert batch.observed["protein"].any()
    assert not done.observed["protein"].any()
    assert not done.values["protein"].any()


def test_patients_without_known_survival_do_not_move_the_cuts(
    federation: Federation, make_batch: Callable[..., PatientBatch]
) -> None:
    batch = make_batch(60)
    known = batch.labelled["survival"].all(1)
    assert not known.all()
    federation = federation.model_copy(update={"statistics": Statistics(minimum_count=1)})
    with_unknown, without = (site_statistics(part, federation) for part in (batch, batch.select(known)))
    np.testing.assert_array_equal(
        with_unknown.moments["survival:survival"], without.moments["survival:survival"]
    )


def test_apply_standardises_clamps_and_leaves_the_unobserved_at_zero(
    sites: list[PatientBatch], federation: Federation
) -> None:
    whole = concatenate(sites)
    preprocessing = combine([site_statistics(site, federation) for site in sites], federation)
    row = whole.observed["rna"][:, 2].nonzero()[0]
    whole.values["rna"][row, 2] = 1e30
    done = preprocessing.apply(whole)
    assert done.values["rna"][row, 2] == LARGEST
    for name, values in done.values.items():
        assert values.dtype == torch.float32
        assert not values[~whole.observed[name]].any()
        assert values.abs().max() <= LARGEST
    np.testing.assert_allclose(pooled_moments(done, "protein")[0], 0, atol=1e-5)
    np.testing.assert_allclose(pooled_moments(done, "protein")[1], 1, rtol=1e-5)
    assert done.labels is whole.labels
    assert done.labelled is whole.labelled
