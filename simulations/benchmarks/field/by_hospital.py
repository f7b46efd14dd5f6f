"""Cohort whose folds are its hospitals: a model is judged on one that it never saw."""

import tomllib
from pathlib import Path

import tomli_w

from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import OUTCOMES
from simulations.benchmarks.field.changes import read_outcomes
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort
from simulations.cohorts.folders import find_sites, twin
from simulations.experiment.arms import write_agreement

HOSPITAL = "hospital_as_fold"


def by_hospital(cohort: CohortFolder, folder: Path, most: int) -> CohortFolder:
    """Write the cohort with its largest hospitals as folds, `most` of them, and open it.

    The fold is the hospital's rank by patients; patients of other hospitals are never held out.
    """
    write_agreement(cohort.federation, cohort.folder, folder)
    sites = [twin(site, folder / site.name) for site in find_sites(cohort.folder)]
    tables = {}
    for site in sites:
        description = tomllib.loads((site / SITE_FILE).read_text(encoding="utf-8"))
        tables[site] = description, read_outcomes(site / description["tables"][OUTCOMES])
    ranked = sorted(sites, key=lambda site: (-len(tables[site][1]), site.name))
    for rank, site in enumerate(ranked):
        description, table = tables[site]
        table[HOSPITAL] = rank if rank < most else -1
        table.to_csv(site / f"{OUTCOMES}.csv", index=False)
        description["tables"][OUTCOMES] = f"{OUTCOMES}.csv"
        (site / SITE_FILE).write_text(tomli_w.dumps(description | {"fold": HOSPITAL}), encoding="utf-8")
    return open_cohort(folder)
