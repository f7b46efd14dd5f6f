"""Cohort of a hospital in memory, and its data passport.

A site folder holds `site.toml`, one table per modality (CSV or Parquet, one row per patient) and one of outcomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from client.site_folder.site_file import SiteFile
from common.agreement.federation import Federation
from common.patients.batch import PatientBatch, concatenate


@dataclass(frozen=True)
class Cohort:
    """Patients of a site, without identifiers.

    Attributes:
        site: the site's name.
        batch: P patients in the order of the outcomes table.
        fold: [P] long, the fold in which a patient is held out; -1 where none is given.
        group: subgroup of each patient; the site's name where none is given.
        marks: [P, 16] uint8, keyed hashes of the patients' identifiers.
        raw: modality -> [P, columns] numeric values as the table has them, where they are transformed or clipped.
        file: by which the tables were read.
        unmatched: modality -> rows whose patient has no outcomes row; they are left out.
        warnings: sentences on what may be wrong in the tables, without a value; a cohort from the cache has none.
    """

    site: str
    batch: PatientBatch
    fold: Tensor
    group: tuple[str, ...]
    unmatched: dict[str, int]
    marks: Tensor
    raw: dict[str, Tensor]
    file: SiteFile
    warnings: tuple[str, ...] = ()

    @property
    def records(self) -> PatientBatch:
        """All patients."""
        return self.batch


def joined(cohorts: Sequence[Cohort], file: SiteFile, patients: Tensor, fold: Tensor) -> Cohort:
    """Join cohorts of one federation, and keep some patients, with other folds.

    Args:
        cohorts: whose patients follow one another.
        file: of the site that has them all.
        patients: [K] long, indices of those that are kept, in order.
        fold: [K] long, their folds.
    """
    groups = [name for cohort in cohorts for name in cohort.group]
    raw, unmatched = {}, dict[str, int]()
    for name in cohorts[0].raw:
        raw[name] = torch.cat([cohort.raw[name] for cohort in cohorts])[patients]
    for cohort in cohorts:
        for name, rows in cohort.unmatched.items():
            unmatched[name] = unmatched.get(name, 0) + rows
    return Cohort(
        site=file.name,
        batch=concatenate([cohort.batch for cohort in cohorts]).select(patients),
        fold=fold,
        group=tuple(groups[index] for index in patients.tolist()),
        unmatched=unmatched,
        marks=torch.cat([cohort.marks for cohort in cohorts])[patients],
        raw=raw,
        file=file,
        warnings=tuple(warning for cohort in cohorts for warning in cohort.warnings),
    )


def passport(cohort: Cohort, federation: Federation) -> dict[str, object]:
    """Make the data passport of a cohort: counts only, no value of a patient.

    Returns:
        patients; per task the labelled patients (and events, or count per class or label); per modality the
        patients with it, the share of cells missing among them, and rows without an outcomes row; warnings.
    """
    batch = cohort.batch
    tasks: dict[str, object] = {}
    for task in federation.tasks:
        labels, labelled = batch.labels[task.name], batch.labelled[task.name]
        tasks[task.name] = {"labelled": int(labelled.any(1).sum())} | task.counts(labels, labelled)
    modalities: dict[str, object] = {}
    for modality in federation.modalities:
        present = batch.present(modality.name)
        observed = batch.observed[modality.name][present]
        modalities[modality.name] = {
            "patients": int(present.sum()),
            "missing": float(1 - observed.float().mean()) if len(observed) else 1.0,
            "unmatched": cohort.unmatched.get(modality.name, 0),
        }
    counts = {"site": cohort.site, "patients": len(batch), "tasks": tasks, "modalities": modalities}
    return counts | {"warnings": list(cohort.warnings)}
