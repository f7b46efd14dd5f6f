"""Patients divided anew among hospitals of the same sizes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.families.played import read_played
from common.agreement.federation import FILE_NAME, load
from simulations.benchmarks.field.skew import divide, skewed
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites

SmallCohort = Callable[..., Path]

OUTCOMES = [0.0] * 300 + [1.0] * 100
SIZES = (200, 120, 60, 20)


def largest_distance(alpha: float) -> float:
    """Largest distance of a hospital's share of cases from the cohort's, mean over draws."""
    distances = []
    for seed in range(20):
        hospitals = divide(OUTCOMES, SIZES, alpha, np.random.default_rng(seed))
        shares = [np.mean(np.array(OUTCOMES)[patients]) for patients in hospitals]
        distances.append(max(abs(share - 0.25) for share in shares))
    return float(np.mean(distances))


@pytest.mark.parametrize("alpha", [1000.0, 1.0, 0.01])
def test_every_patient_is_at_one_hospital_and_sizes_are_kept(alpha: float) -> None:
    hospitals = divide(OUTCOMES, SIZES, alpha, np.random.default_rng(1))
    assert tuple(map(len, hospitals)) == SIZES
    assert sorted(np.concatenate(hospitals).tolist()) == list(range(400))
    again = divide(OUTCOMES, SIZES, alpha, np.random.default_rng(1))
    assert all(np.array_equal(one, other) for one, other in zip(hospitals, again, strict=True))


def test_less_alpha_is_more_skew() -> None:
    distances = [largest_distance(alpha) for alpha in (1000.0, 10.0, 1.0, 0.1)]
    assert distances == sorted(distances)
    assert distances[0] < 0.2
    assert distances[-1] > 0.5


def test_hospitals_keep_their_names_and_sizes_and_patients_their_folds(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["response"])
    federation = load(cohort / FILE_NAME)
    divided = skewed(open_cohort(cohort), tmp_path / "skewed", 0.05)
    assert load(divided.folder / FILE_NAME) == federation
    before = [read_played(site, federation) for site in find_sites(cohort)]
    after = [read_played(site, federation) for site in find_sites(divided.folder)]
    assert [(of.site, len(of.fold)) for of in after] == [(of.site, len(of.fold)) for of in before]
    patients = [
        sorted(
            (fold, *values, *label)
            for of in some
            for fold, values, label in zip(
                of.fold.tolist(),
                of.records.values["rna"].nan_to_num().tolist(),  # type: ignore[attr-defined]
                of.records.labels["response"].tolist(),  # type: ignore[attr-defined]
                strict=True,
            )
        )
        for some in (before, after)
    ]
    assert patients[0] == patients[1]
    shares = [float(of.records.labels["response"].mean()) for of in after]  # type: ignore[attr-defined]
    assert max(shares) - min(shares) > 0.5
