"""Cohort whose folds are its hospitals: a model is judged on one that it never saw."""

from pathlib import Path

from client.site_folder.played_site import play
from common.agreement.federation import OUTCOMES
from simulations.benchmarks.field.changes import read_table, write_table
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort
from simulations.cohorts.folders import find_sites
from simulations.experiment.arms import write_agreement

HOSPITAL = "hospital_as_fold"


def by_hospital(cohort: CohortFolder, folder: Path, most: int) -> CohortFolder:
    """Write the cohort with its largest hospitals as folds, `most` of them, and open it.

    The fold is the hospital's rank by patients; patients of other hospitals are never held out.
    """
    write_agreement(cohort.federation, cohort.folder, folder)
    tables = {}
    for site in find_sites(cohort.folder):
        file = play(site)
        tables[site.name] = file, read_table(file.tables[OUTCOMES])
    for rank, name in enumerate(sorted(tables, key=lambda name: (-len(tables[name][1]), name))):
        file, table = tables[name]
        path = folder / name / Path(file.tables[OUTCOMES]).name
        held = table.assign(**{HOSPITAL: rank if rank < most else -1})
        changed = file.tables | {OUTCOMES: write_table(held, path)}
        file.model_copy(update={"tables": changed, "fold": HOSPITAL, "origin": ""}).write(folder / name)
    return open_cohort(folder)
