"""Units that differ between hospitals, by the medians of their columns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.agreement.federation import FILE_NAME, load
from simulations.cohorts.folders import find_sites
from simulations.families.patients.hospitals import Hospitals
from simulations.families.patients.units import Spread, spreads, unit_differences

SmallCohort = Callable[..., Path]


def hospitals(*middles: float, width: float = 0.2) -> dict[str, dict[str, Spread]]:
    return {
        f"hospital {number}": {"size": Spread(middle * (1 - width), middle, middle * (1 + width))}
        for number, middle in enumerate(middles, 1)
    }


@pytest.mark.parametrize("factor", [10, 12, 30.4, 365.25, 1000])
@pytest.mark.parametrize("up", [True, False])
def test_a_hospital_a_unit_away_from_the_others_is_named_with_both_medians(factor: float, up: bool) -> None:
    middle = 20 * factor if up else 20 / factor
    ((site, what),) = unit_differences(hospitals(21, 20, middle, 19))
    assert site == "hospital 3"
    assert "size" in what
    assert f"{middle:.2g}" in what
    assert " 20 " in what


def test_of_two_hospitals_one_sentence_tells() -> None:
    ((site, _),) = unit_differences(hospitals(20, 200))
    assert site == "hospital 1"


@pytest.mark.parametrize("middles", [(20,), (20, 20), (20, 60, 22), (20, 110, 21)])
def test_other_differences_are_no_units(middles: tuple[float, ...]) -> None:
    assert list(unit_differences(hospitals(*middles))) == []


def test_hospitals_whose_patients_overlap_differ_by_chance() -> None:
    assert list(unit_differences(hospitals(20, 200, 21, width=0.95))) == []


def test_a_column_in_another_unit_is_warned_of_and_a_decided_range_is_left_to_it(
    small_cohort: SmallCohort,
) -> None:
    cohort = small_cohort()
    federation, sites = load(cohort / FILE_NAME), find_sites(cohort)
    column = next(iter(federation.modality("clinical").columns))
    for site in sites:
        table = pd.read_csv(site / "clinical.csv")
        rows = np.linspace(40, 60, len(table))
        table.assign(**{column: rows * (30.4 if site.name == "hospital-2" else 1)}).to_csv(
            site / "clinical.csv", index=False
        )
    clinical = federation.modality("clinical")
    open_range = clinical.model_copy(update={"ranges": {}, "plausible": type(clinical.plausible)()})
    others = tuple(part for part in federation.modalities if part.name != "clinical")
    compared = federation.model_copy(update={"modalities": (open_range, *others)})
    read = Hospitals(sites, compared, (0,), False)
    assert [warning for warning in read.warnings if f"column {column}" in warning and "hospital 2" in warning]
    ranged = type(clinical.plausible)(low=0, high=3000, typical=(40, 60))
    judged = federation.model_copy(
        update={"modalities": (clinical.model_copy(update={"ranges": {column: ranged}}), *others)}
    )
    assert all(column not in spreads(part, judged) for part in read.cohorts)
