"""Preprocessing of honest hospitals, however different, is plausible to each; a crafted one is not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant
from common.messages.statistics import SiteStatistics
from common.patients.plausibility import is_plausible
from common.patients.preprocessing import Preprocessing, combine, declared
from common.tasks.survival import SurvivalTask


@pytest.fixture
def federation() -> Federation:
    return Federation(
        name="test",
        modalities=(
            Modality(
                name="clinical",
                node="clinical",
                columns=("age", "platelets"),
                categories={"stage": ("1", "2")},
                ranges={"age": Plausible(low=0, high=120, typical=(50, 70))},
            ),
            Modality(name="rna", node="gene", columns=("G1",), transform="signed_log", clip=(-9, 9)),
            Modality(name="image", node="imaging", columns=("F1",), scale="none"),
        ),
        tasks=(SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),),
        participants=(Participant(name="north"), Participant(name="south")),
    )


def sums(*columns: Any) -> np.ndarray:
    return np.stack([[len(c), np.sum(c), np.sum(np.square(c))] for c in columns], axis=1).astype(np.float64)


def site(
    rng: np.random.Generator, patients: int, age: float, platelets: float, gene: float
) -> SiteStatistics:
    """Sums of a hospital whose patients lie around these values."""
    stage = (rng.random(patients) < rng.random()).astype(float)
    moments = {
        "modality:clinical": sums(
            np.clip(rng.normal(age, rng.uniform(0, 15), patients), 0, 120),
            rng.normal(platelets, platelets / 9, patients),
            stage,
            1 - stage,
        ),
        "modality:rna": sums(np.clip(rng.normal(gene, rng.uniform(0.01, 3), patients), -9, 9)),
        "survival:survival": sums(np.log1p(rng.exponential(rng.uniform(0.5, 90), patients).clip(0, 600))),
    }
    return SiteStatistics(moments, dict.fromkeys(moments, 0))


def without(statistics: SiteStatistics, name: str) -> SiteStatistics:
    """The same where this modality was not measured."""
    moments = {**statistics.moments, name: np.zeros_like(statistics.moments[name])}
    return replace(statistics, moments=moments)


@pytest.mark.parametrize("seed", range(25))
def test_honest_hospitals_find_their_preprocessing_plausible(federation: Federation, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(6, 3000, 5)
    sites = [
        site(rng, int(size), rng.uniform(2, 90), 10 ** rng.uniform(1, 3.5), rng.normal(0, 4))
        for size in sizes
    ]
    sites.append(without(site(rng, 40, 60, 250, 0), "modality:rna"))
    sites.append(without(site(rng, 40, 60, 250, 0), "survival:survival"))
    prepared = combine(sites, federation)
    for each in sites:
        assert is_plausible(prepared, federation, each, int(sizes.sum()) + 80)
    for each in sites[:5]:
        alone = combine([each], federation)
        assert is_plausible(alone, federation, each, int(each.moments["modality:rna"][0, 0]))


def test_what_nobody_could_report_is_plausible(federation: Federation) -> None:
    rng = np.random.default_rng(0)
    sites = [without(site(rng, 40, 60, 250, 0), "modality:rna") for _ in range(2)]
    blank = without(sites[0], "modality:clinical")
    for reported in ([sites[0], sites[1]], [blank, blank]):
        assert is_plausible(combine(reported, federation), federation, reported[0], 80)


Change = Callable[[torch.Tensor], torch.Tensor]

CRAFTED: dict[str, tuple[str, str, int, float]] = {
    "a threshold on age": ("spread", "clinical", 0, 1e-30),
    "a narrow step on age": ("spread", "clinical", 0, 0.5),
    "a constant age": ("spread", "clinical", 0, 1e30),
    "an age out of range": ("center", "clinical", 0, 130.0),
    "a threshold on platelets": ("spread", "clinical", 1, 0.1),
    "constant platelets": ("spread", "clinical", 1, 1e30),
    "platelets far away": ("center", "clinical", 1, -1e30),
    "a threshold on a stage": ("spread", "clinical", 2, 1e-9),
    "a stage left out": ("spread", "clinical", 2, float("inf")),
    "a threshold on a gene": ("spread", "rna", 0, 1e-3),
    "a gene out of range": ("center", "rna", 0, 10.0),
    "an image that was not to be scaled": ("spread", "image", 0, 2.0),
    "a negative spread": ("spread", "rna", 0, -1.0),
    "no spread": ("spread", "rna", 0, 0.0),
}


def crafted(prepared: Preprocessing, case: str) -> Preprocessing:
    part, modality, column, value = CRAFTED[case]
    tensors = {name: tensor.clone() for name, tensor in getattr(prepared, part).items()}
    tensors[modality][column] = value
    return replace(prepared, **{part: tensors})


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_scaling_is_not_plausible(federation: Federation, case: str) -> None:
    rng = np.random.default_rng(3)
    sites = [site(rng, 60, 60, 250, 0), site(rng, 60, 65, 300, 1)]
    prepared = combine(sites, federation)
    assert is_plausible(prepared, federation, sites[0], 120)
    assert not is_plausible(crafted(prepared, case), federation, sites[0], 120)


@pytest.mark.parametrize("case", ["a threshold on age", "a narrow step on age", "an age out of range"])
def test_noised_sums_have_bounds_of_their_own(federation: Federation, case: str) -> None:
    """No patient of the hospital has a part in the answer."""
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.1, expected_batch_size=6, statistics="noised")
    private = federation.model_copy(update={"privacy": privacy})
    prepared = declared(private)
    assert is_plausible(prepared, private, None, 120)
    prepared.center["clinical"][0], prepared.spread["clinical"][0] = 71.5, 12.25
    assert is_plausible(prepared, private, None, 120)
    assert not is_plausible(crafted(prepared, case), private, None, 120)


@pytest.mark.parametrize(
    "ends",
    [
        np.linspace(20, 21, 12),
        np.r_[np.linspace(1, 6, 6), np.linspace(20, 20.01, 6)],
        -np.linspace(1, 12, 12)[::-1],
        np.full(12, 5.0),
        np.linspace(1, 700, 12),
    ],
)
def test_hazard_intervals_are_quantiles_of_times_that_can_be(federation: Federation, ends: Any) -> None:
    rng = np.random.default_rng(3)
    sites = [site(rng, 60, 60, 250, 0), site(rng, 60, 65, 300, 1)]
    prepared = combine(sites, federation)
    forged = replace(prepared, cuts={"survival": torch.from_numpy(ends).float()})
    assert not is_plausible(forged, federation, sites[0], 120)


@pytest.mark.parametrize("center", [1e6, -1e6])
def test_a_range_however_wide_lets_no_scaling_leave_the_hospitals_values(
    federation: Federation, center: float
) -> None:
    rng = np.random.default_rng(0)
    clinical = federation.modalities[0].model_copy(
        update={"ranges": {"age": Plausible(low=-1e30, high=1e30)}}
    )
    wide = federation.model_copy(update={"modalities": (clinical, *federation.modalities[1:])})
    sites = [site(rng, 40, 60, 250, 0) for _ in range(2)]
    prepared = combine(sites, wide)
    assert is_plausible(prepared, wide, sites[0], 80)
    moved = prepared.center["clinical"].clone()
    moved[0] = center
    forged = replace(prepared, center={**prepared.center, "clinical": moved})
    assert not is_plausible(forged, wide, sites[0], 80)


def test_where_all_patients_are_alike_the_files_range_alone_counts(federation: Federation) -> None:
    """A hospital that measured none of it above 0 takes part with those that did."""
    rng = np.random.default_rng(0)
    ranges = {"platelets": Plausible(low=0, high=1e7)}
    clinical = federation.modalities[0].model_copy(update={"ranges": ranges})
    agreed = federation.model_copy(update={"modalities": (clinical, *federation.modalities[1:])})
    sites = [site(rng, 40, 60, 2e6, 0) for _ in range(2)]
    column = sites[0].moments["modality:clinical"].copy()
    column[1:, 1] = 0
    alike = replace(sites[0], moments={**sites[0].moments, "modality:clinical": column})
    assert is_plausible(combine([alike, sites[1]], agreed), agreed, alike, 80)
