"""Which patients are held out when: as published in the site folders, or drawn here where nothing is."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from client.cohort import OUTCOMES, read_cohort
from common.federation import Federation
from simulations.cohorts.folders import pool_sites, site_file
from simulations.cohorts.patients import hold_out


def with_folds(
    sites: Sequence[Path], federation: Federation, out: Path, count: int, seed: int
) -> tuple[list[Path], tuple[int, ...]]:
    """(site folders that name a fold, the folds there are).

    Where no site names folds, copies with `count` folds are written to `out`: random, every site and outcome
    spread as evenly as its size allows.

    Raises:
        InputError: if folds are to be drawn and a site's tables are not valid.
    """
    if any(site_file(site).fold for site in sites):
        published: set[int] = set()
        for site in sites:
            published |= _published(site)
        return list(sites), tuple(sorted(fold for fold in published if fold >= 0))
    cohorts = [read_cohort(site, federation) for site in sites]
    last = [cohort.batch.labels[federation.tasks[0].name][:, -1].tolist() for cohort in cohorts]
    strata = [(place, outcome) for place, outcomes in enumerate(last) for outcome in outcomes]
    folds = iter(hold_out(strata, seed, count).tolist())
    copies = [
        pool_sites([site], out / site.name, cohort.site, [next(folds) for _ in cohort.group])
        for site, cohort in zip(sites, cohorts, strict=True)
    ]
    return copies, tuple(range(count))


def _published(site: Path) -> set[int]:
    """The folds in a site's outcomes; whether the column is sound is for `client.cohort` to say."""
    file = site_file(site)
    path = site / file.tables[OUTCOMES]
    if file.fold is None or not path.is_file():
        return set()
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if file.fold not in frame:
        return set()
    return {int(fold) for fold in pd.to_numeric(frame[file.fold], errors="coerce").dropna()}
