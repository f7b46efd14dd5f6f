from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import lognorm

from common.batch import PatientBatch, concatenate
from common.errors import InputError
from common.federation import Federation, Privacy, Statistics
from common.preprocessing import LARGEST, SiteStatistics, combine, declared, site_statistics
from common.schema import Modality, Plausible, SurvivalTask

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
    assert_pooled(parts, whole, federation)


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
    """As a gene that is mutated or not; six patients more were not measured, and their 0 counts for nothing."""
    batch = numbers([float(place < having) for place in range(20)] + [0.0] * 6)
    batch.observed["rna"][20:] = False
    reply = site_statistics(batch, one_number())
    assert reply.moments["modality:rna"][:, 0].tolist() == ([20, having, having] if reported else [0, 0, 0])
    assert reply.withheld["modality:rna"] == (not reported)


def test_a_column_with_any_other_value_is_no_column_of_zeros_and_ones() -> None:
    reply = site_statistics(numbers([1.0] + [0.0] * 18 + [0.5]), one_number())
    assert reply.moments["modality:rna"][:, 0].tolist() == [20, 1.5, 1.25]


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
    # of two different numbers each is one patient's, and their sum and sum of squares give both away
    rarer = np.where(np.array(counts) == 2, 1, counts)
    safe[: len(counts)] = rarer >= least
    start = len(counts) + len(ones)
    for levels in (slice(start, start + 3), slice(start + 3, None)):
        safe[levels] = safe[levels].all()
    np.testing.assert_array_equal(sums[0], np.where(safe, every, 0))
    np.testing.assert_array_equal(sums[1, len(counts) :], np.where(safe, some, 0)[len(counts) :])
    assert not sums[:, ~safe].any()
    assert reply.withheld == {"modality:rna": (~safe).sum()}


def mixed_federation(columns: int, least: int) -> Federation:
    """Numeric columns, and a category of three levels and one of two."""
    modality = {
        "name": "rna",
        "node": "gene",
        "columns": [f"G{number}" for number in range(columns)],
        "categories": {"stage": ["a", "b", "c"], "sex": ["f", "m"]},
    }
    return Federation.model_validate(
        {
            "name": "one",
            "modalities": [modality],
            "tasks": [{"kind": "response", "name": "r", "label": "r", "classes": ["0", "1"]}],
            "statistics": {"minimum_count": least},
            "participants": [{"name": "a"}],
        }
    )


def batch_of(values: torch.Tensor, observed: torch.Tensor) -> PatientBatch:
    return PatientBatch({"rna": values.float()}, {"rna": observed}, {}, {})


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
    with pytest.raises(InputError, match=r"task survival: no site has enough events .*minimum_count"):
        combine(replies, federation)


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


def one_number() -> Federation:
    """A federation of one numeric feature and no survival."""
    return Federation.model_validate(
        {
            "name": "one",
            "modalities": [{"name": "rna", "node": "gene", "columns": ["G"]}],
            "tasks": [{"kind": "response", "name": "r", "label": "r", "classes": ["0", "1"]}],
            "participants": [{"name": "a"}],
        }
    )


def numbers(values: list[float]) -> PatientBatch:
    column = torch.tensor(values, dtype=torch.float32)[:, None]
    return PatientBatch({"rna": column}, {"rna": torch.ones_like(column, dtype=torch.bool)}, {}, {})


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
    ("changes", "center", "spread"),
    [
        ({"plausible": {"typical": [50, 70]}}, 60, 10),
        ({"plausible": {"low": 0, "high": 120, "typical": [50, 70]}}, 60, 10),
        ({"plausible": {"typical": [0.1, 0.3]}}, 0.2, 0.1),
        ({"plausible": {"typical": [50, 70]}, "ranges": {"G": {"low": 0, "high": 60}}}, 30, 10),
        ({"plausible": {"typical": [np.e - 1, np.e**3 - 1]}, "transform": "signed_log"}, 2, 1),
        ({"plausible": {"typical": [-3, 9]}, "clip": [-5, 5]}, 1, 4),
        ({"plausible": {"typical": [6, 9]}, "clip": [-5, 5]}, 0, 1),
        ({"plausible": {"low": -100}, "clip": [-5, 5]}, 0, 1),
        ({"plausible": {"low": 0, "high": 1}}, 0, 1),
        ({"plausible": {"low": -LARGEST, "high": LARGEST}}, 0, 1),
        ({"plausible": {"low": 0, "high": 120}}, 60, 20),
        ({"plausible": {"low": -120, "high": 0}}, -60, 20),
        ({"plausible": {"low": 0, "high": np.expm1(12)}, "transform": "signed_log"}, 6, 2),
        ({"transform": "signed_log"}, 0, 1),
        ({}, 0, np.inf),
        ({"plausible": {"low": 0}}, 0, np.inf),
        ({"plausible": {"high": 0}}, 0, np.inf),
        ({"scale": "none"}, 0, 1),
        ({"plausible": {"typical": [50, 70]}, "scale": "none"}, 0, 1),
    ],
)
def test_declared_scaling_comes_from_the_file_alone(
    changes: dict[str, object], center: float, spread: float
) -> None:
    plain = one_number().model_dump(mode="json")
    plain["modalities"][0] |= {"categories": {"sex": ["f", "m"]}} | changes
    found = declared(Federation.model_validate(plain, strict=False))
    np.testing.assert_allclose(found.center["rna"], [center, 0, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.spread["rna"], [spread, 1, 1], rtol=1e-6)
    assert found.center["rna"].dtype == found.spread["rna"].dtype == torch.float32


@pytest.mark.parametrize(
    ("unit", "longest", "typical", "low", "high"),
    [
        ("months", 600, (8, 60), 8, 60),
        ("days", 5000, (90, 700), 90, 700),
        ("months", 600, None, 600 * np.exp(-3.5), 600 * np.exp(-1.5)),
        ("days", 20000, None, 20000 * np.exp(-3.5), 20000 * np.exp(-1.5)),
        ("years", 10, None, 10 * np.exp(-3.5), 10 * np.exp(-1.5)),
    ],
)
def test_declared_hazard_intervals_hold_equal_shares_of_a_log_normal(
    unit: str, longest: float, typical: tuple[float, float] | None, low: float, high: float
) -> None:
    task = {"kind": "survival", "name": "s", "time": "t", "event": "e", "bins": 4}
    plain = one_number().model_dump(mode="json")
    plain["tasks"] = [task | {"unit": unit, "longest": longest, "typical": typical}]
    found = declared(Federation.model_validate(plain, strict=False)).cuts["s"]
    middle, deviation = np.log1p([low, high]).mean(), np.ptp(np.log1p([low, high])) / 2
    expected = lognorm(s=deviation, scale=np.exp(middle)).ppf([1 / 4, 2 / 4, 3 / 4, 3.5 / 4]) - 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == torch.float32


def test_only_under_noise_what_no_site_could_report_is_as_declared(
    make_federation: Callable[..., Federation], make_batch: Callable[..., PatientBatch]
) -> None:
    blood = Modality(
        name="clinical", node="clinical", columns=("age", "crp"), plausible=Plausible(typical=(50, 70))
    )
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.1, expected_batch_size=10)
    task = SurvivalTask(name="survival", time="t", event="e", unit="months", longest=600)
    sums = np.array([[0.0, 4.0], [0.0, 8.0], [0.0, 80.0]])
    nothing = SiteStatistics({"modality:clinical": sums, "survival:survival": np.zeros((3, 1))}, {})
    for statistics in ("declared", "public", "noised"):
        held = privacy.model_copy(update={"statistics": statistics})
        federation = make_federation(modalities=(blood,), tasks=(task,), privacy=held)
        if statistics != "noised":
            with pytest.raises(InputError, match="no site has enough events"):
                combine([nothing], federation)
            continue
        found = combine([nothing], federation)
        assert found.center["clinical"].tolist() == [60, 2]
        assert found.spread["clinical"].tolist() == [10, 4]
        assert torch.equal(found.cuts["survival"], declared(federation).cuts["survival"])
