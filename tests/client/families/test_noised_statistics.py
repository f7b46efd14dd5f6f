import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from client.families.noised_statistics import bounded_sums, contributions
from client.privacy.noise import NoisedSums
from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.privacy_settings import Privacy
from common.messages.statistics import SiteStatistics
from common.patients.batch import PatientBatch
from common.patients.declared_sums import bounds
from common.patients.guarantee import check_agreement
from common.patients.noised_sums import sensitivity, statistics_of, triples
from common.patients.preprocessing import combine, declared, site_statistics
from common.tasks.survival import SurvivalTask

CLINICAL = Modality(
    name="clinical",
    node="clinical",
    columns=("age", "crp", "smokes"),
    categories={"sex": ("f", "m")},
    ranges={
        "age": Plausible(low=0, high=120, typical=(50, 70)),
        "crp": Plausible(low=0, high=500),
        "smokes": Plausible(low=0, high=1),
    },
)
RNA = Modality(name="rna", node="gene", columns=tuple("ABCDEF"), clip=(-5, 5))
IMAGING = Modality(
    name="imaging",
    node="imaging",
    columns=("x", "y"),
    transform="signed_log",
    plausible=Plausible(low=-1e6, high=1e6),
)
COPIES = Modality(name="copies", node="gene", columns=("A", "B"), scale="none")
SURVIVAL = SurvivalTask(name="survival", time="t", event="e", unit="months", longest=600, typical=(8, 60))
TRIPLES = 2 + 1 + 1 + 1
"""Age and C-reactive protein, RNA, imaging, survival."""


@pytest.fixture
def agreed(make_federation: Callable[..., Federation]) -> Federation:
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.1, expected_batch_size=10, statistics="noised")
    return make_federation(modalities=(CLINICAL, RNA, IMAGING, COPIES), tasks=(SURVIVAL,), privacy=privacy)


def cohort(patients: int, seed: int = 0) -> PatientBatch:
    """Ages of 60 +- 10, C-reactive protein skewed, standard normal RNA, and every fifth cell missing."""
    draw = np.random.default_rng(seed)
    sex = draw.integers(2, size=patients)
    values = {
        "clinical": np.stack(
            [
                draw.normal(60, 10, patients),
                draw.gamma(2, 20, patients),
                draw.random(patients) < 0.3,
                sex,
                1 - sex,
            ],
            axis=1,
        ),
        "rna": draw.normal(0.5, 1.5, (patients, 6)).clip(-5, 5),
        "imaging": draw.normal(2, 3, (patients, 2)),
        "copies": draw.integers(-2, 3, (patients, 2)),
    }
    observed = {
        name: (draw.random(part.shape) > 0.2) & (draw.random((patients, 1)) > 0.1)
        for name, part in values.items()
    }
    observed["clinical"][:, 4] = observed["clinical"][:, 3]
    time = draw.lognormal(math.log(20), 0.8, patients).clip(0, 600)
    known = np.repeat(draw.random((patients, 1)) > 0.1, 2, axis=1)
    return as_batch(values, observed, np.stack([time, draw.random(patients) < 0.6], axis=1) * known, known)


def as_batch(
    values: dict[str, NDArray[np.float64]],
    observed: dict[str, NDArray[np.bool_]],
    labels: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> PatientBatch:
    return PatientBatch(
        {name: torch.from_numpy(part * observed[name]).float() for name, part in values.items()},
        {name: torch.from_numpy(part) for name, part in observed.items()},
        {"survival": torch.from_numpy(labels).float()},
        {"survival": torch.from_numpy(known)},
    )


def test_the_federation_of_these_tests_is_one_that_may_train(agreed: Federation) -> None:
    plain = agreed.changed(
        {"training.learn_task_weights": "false"}
        | dict.fromkeys(("model.dropout", "model.node_dropout", "model.modality_dropout"), "0")
    )
    check_agreement(plain)


def noised_statistics(batch: PatientBatch, federation: Federation, multiplier: float) -> SiteStatistics:
    noise = NoisedSums(3 * triples(federation), sensitivity(federation), multiplier)
    return statistics_of(noise.take(bounded_sums(batch, federation)), federation, multiplier)


numbers = st.one_of(
    st.floats(-10, 200, width=32),
    st.floats(width=32),
    st.sampled_from([1e30, -1e30, float("inf"), float("nan")]),
)


@st.composite
def patients_of_any_kind(draw: st.DrawFn) -> PatientBatch:
    """Two to five patients whose numbers, gaps and labels may be anything."""
    count = draw(st.integers(2, 5))

    def table(columns: int) -> NDArray[np.float64]:
        cells = draw(st.lists(numbers, min_size=count * columns, max_size=count * columns))
        return np.array(cells).reshape(count, columns)

    def mask(columns: int) -> NDArray[np.bool_]:
        cells = draw(st.lists(st.booleans(), min_size=count * columns, max_size=count * columns))
        return np.array(cells).reshape(count, columns)

    sizes = {"clinical": 5, "rna": 6, "imaging": 2, "copies": 2}
    observed = {name: mask(size) for name, size in sizes.items()}
    values = {name: np.where(observed[name], table(size), 0.0) for name, size in sizes.items()}
    with np.errstate(invalid="ignore"):
        return as_batch(values, observed, table(2), np.repeat(mask(1), 2, axis=1))


@given(batch=patients_of_any_kind(), data=st.data())
@settings(deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast", "ignore:invalid value encountered")
def test_no_patient_whatsoever_changes_the_sums_by_more_than_is_stated(
    batch: PatientBatch, data: st.DataObject
) -> None:
    federation = federation_of(CLINICAL, RNA, IMAGING, COPIES)
    gone = data.draw(st.integers(0, len(batch) - 1))
    left = batch.select(torch.arange(len(batch)) != gone)
    change = contributions(batch, federation).sum(0) - contributions(left, federation).sum(0)
    assert float(change.norm()) <= sensitivity(federation) * (1 + 1e-12)


def federation_of(*modalities: Modality) -> Federation:
    return Federation.model_validate(
        {"name": "t", "modalities": modalities, "tasks": (SURVIVAL,), "participants": ({"name": "a"},)}
    )


def test_the_stated_change_is_reached_and_no_larger_than_need_be(agreed: Federation) -> None:
    extreme = cohort(1)
    for name, seen in extreme.observed.items():
        seen[:] = True
        extreme.values[name][:] = 1e9
    extreme.labels["survival"][0] = torch.tensor([600.0, 1.0])
    extreme.labelled["survival"][:] = True
    assert sensitivity(agreed) == math.sqrt(3 * TRIPLES)
    assert float(contributions(extreme, agreed).norm()) == pytest.approx(sensitivity(agreed), rel=1e-12)


def test_what_is_not_summed_stays_at_home(agreed: Federation) -> None:
    """Levels, 0/1 columns and tables that are not scaled."""
    batch = cohort(50)
    before = contributions(batch, agreed)
    batch.values["clinical"][:, 2:] = 7
    batch.values["copies"][:] = 7
    assert torch.equal(before, contributions(batch, agreed))
    found = noised_statistics(batch, agreed, 1e-6)
    assert not found.moments["modality:clinical"][:, 2:].any()


def test_names_shapes_and_types_are_those_of_exact_sums(agreed: Federation) -> None:
    batch = cohort(100)
    exact, noised = (
        site_statistics(batch, agreed),
        noised_statistics(batch, agreed, 1.0),
    )
    assert {name: part.shape for name, part in noised.moments.items()} == {
        name: part.shape for name, part in exact.moments.items()
    }
    assert {part.dtype for part in noised.moments.values()} == {np.dtype("float64")}
    assert noised.withheld == dict.fromkeys(exact.withheld, 0)


def test_noise_has_the_stated_deviation_and_two_calls_share_none(agreed: Federation) -> None:
    """The counts of a large cohort are released as they were noised."""
    batch, multiplier = cohort(3000), 2.0
    deviation = multiplier * sensitivity(agreed)
    expected = contributions(batch, agreed).sum(0)[0].numpy()
    counts = np.array([released_counts(batch, agreed, multiplier) for _ in range(400)])
    noise = (counts - expected) / deviation
    assert len(np.unique(noise)) == noise.size
    assert abs(noise.std() - 1) < 6 / math.sqrt(2 * noise.size)
    assert kstest(noise.ravel(), "norm").pvalue > 1e-6


def released_counts(batch: PatientBatch, federation: Federation, multiplier: float) -> list[float]:
    moments = noised_statistics(batch, federation, multiplier).moments
    names = (("clinical", 0), ("clinical", 1), ("rna", 0), ("imaging", 0))
    return [
        *(float(moments[f"modality:{name}"][0, place]) for name, place in names),
        float(moments["survival:survival"][0, 0]),
    ]


def test_with_little_noise_a_large_cohort_s_statistics_are_nearly_exact(agreed: Federation) -> None:
    batch = cohort(4000)
    exact = combine([site_statistics(batch, agreed)], agreed)
    found = combine([noised_statistics(batch, agreed, 0.01)], agreed)
    np.testing.assert_allclose(found.center["clinical"][:2], exact.center["clinical"][:2], rtol=0.02)
    np.testing.assert_allclose(found.spread["clinical"][0], exact.spread["clinical"][0], rtol=0.02)
    np.testing.assert_allclose(found.cuts["survival"], exact.cuts["survival"], rtol=0.05)
    np.testing.assert_allclose(found.center["rna"], [0.5] * 6, atol=0.05)
    np.testing.assert_allclose(found.spread["rna"], [1.5] * 6, rtol=0.05)


def test_hospitals_of_a_few_hundred_patients_bear_a_noise_multiplier_of_five(agreed: Federation) -> None:
    for attempt in range(20):
        sites = [noised_statistics(cohort(300, seed), agreed, 5.0) for seed in range(attempt, attempt + 4)]
        found = combine(sites, agreed)
        assert float(found.center["clinical"][0]) == pytest.approx(60, abs=12)
        assert 2 < float(found.spread["clinical"][0]) < 25
        assert 3 < float(found.cuts["survival"][5]) < 80
        assert all(bool(part.isfinite().all()) for part in found.spread.values())
        assert all(bool((part > 0).all()) for part in found.spread.values())


def test_a_hospital_that_drowns_in_noise_reports_nothing_and_what_is_declared_holds(
    agreed: Federation,
) -> None:
    sites = [noised_statistics(cohort(20), agreed, 1e4) for _ in range(3)]
    assert not any(part.any() for site in sites for part in site.moments.values())
    nothing = [noised_statistics(cohort(0), agreed, 1e-3)]
    assert not any(part.any() for part in nothing[0].moments.values())
    found, expected = combine(nothing, agreed), declared(agreed)
    for part in ("center", "spread", "cuts"):
        for name, tensor in getattr(expected, part).items():
            assert torch.equal(getattr(found, part)[name], tensor)


@given(multiplier=st.floats(1e-3, 1e3), patients=st.integers(0, 40), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_whatever_the_noise_the_sums_could_be_sums(multiplier: float, patients: int, seed: int) -> None:
    federation = federation_of(CLINICAL, RNA, IMAGING, COPIES)
    found = noised_statistics(cohort(patients, seed), federation, multiplier)
    for name, (count, total, squares) in found.moments.items():
        assert np.isfinite([count, total, squares]).all()
        assert (count >= 0).all()
        some = count > 0
        mean = total[some] / count[some]
        assert (squares[some] / count[some] > mean**2).all()
        if name == "modality:clinical":
            low, high = (end[:2][some[:2]] for end in bounds(CLINICAL))
            assert (mean >= low - 1e-6).all()
            assert (mean <= high + 1e-6).all()


def test_no_value_of_a_patient_is_in_what_leaves(agreed: Federation) -> None:
    """98765.4321 alone in its column, and inside the sums of many."""
    for patients in (1, 400):
        batch = cohort(patients)
        for name in ("clinical", "imaging"):
            batch.values[name][0, 0] = 98765.4321
            batch.observed[name][0, 0] = True
        moments = noised_statistics(batch, agreed, 1e-3).moments
        for part in moments.values():
            assert not np.isclose(part, 98765.4321, rtol=1e-5).any()
            assert not np.isclose(np.sqrt(np.abs(part[2])), 98765.4321, rtol=1e-5).any()
        assert np.abs(moments["modality:clinical"][1, 0]) <= 90.1 * (patients + 1)
