from collections.abc import Callable
from pathlib import Path

import pandas as pd

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, load
from simulations.benchmarks.field.by_hospital import by_hospital
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites

SmallCohort = Callable[..., Path]


def test_the_largest_hospitals_are_held_out_whole(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    kept = pd.read_csv(cohort / "hospital-1" / "outcomes.csv", dtype=str)["patient"].iloc[:20]
    for table in (cohort / "hospital-1").glob("*.csv"):
        rows = pd.read_csv(table, dtype=str)
        rows[rows["patient"].isin(kept)].to_csv(table, index=False)
    written = by_hospital(open_cohort(cohort), tmp_path / "by-hospital", 2)
    federation = load(written.folder / FILE_NAME)
    assert federation == load(cohort / FILE_NAME)
    folds = {}
    for before, site in zip(find_sites(cohort), find_sites(written.folder), strict=True):
        patients = read_cohort(site, federation)
        assert len(patients.batch) == len(read_cohort(before, federation).batch)
        folds[site.name] = set(patients.fold.tolist())
    assert folds == {"hospital-1": {-1}, "hospital-2": {0}, "hospital-3": {1}}
