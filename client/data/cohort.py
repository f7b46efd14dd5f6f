"""Cohort of a hospital in memory, and its data passport.

A site folder holds `site.toml`, one table per modality (CSV or Parquet, one row per patient) and one of outcomes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from client.site_folder.site_file import SiteFile
from common.agreement.federation import OUTCOMES, Federation
from common.patients.batch import PatientBatch, concatenate
from common.tasks.task import Lack


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
        patients with it, the share of cells missing among them, and rows without an outcomes row; warnings, also of
        columns without a value and of tasks without an event.
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
    return counts | {"warnings": [*cohort.warnings, *_gaps(cohort, federation)]}


def _gaps(cohort: Cohort, federation: Federation) -> Iterator[str]:
    """Sentences on columns without a value, and on tasks of which nobody has an event."""
    batch, file = cohort.batch, cohort.file
    for modality in federation.modalities:
        if modality.name in cohort.unmatched:
            seen = dict(zip(modality.nodes, batch.observed[modality.name].any(0).tolist(), strict=True))
            of_levels = {
                column: seen[f"{column}={next(iter(levels))}"]
                for column, levels in modality.categories.items()
            }
            filled = {column: seen[column] for column in modality.columns} | of_levels
            yield from _empty(file, modality.name, [column for column in filled if not filled[column]])
    labels = {
        column: bool(batch.labelled[task.name][:, index].any())
        for task in federation.tasks
        for index, column in enumerate(task.columns)
    }
    yield from _empty(file, OUTCOMES, [column for column in labels if not labels[column]])
    for task in federation.tasks:
        if task.lack(batch.labels[task.name], batch.labelled[task.name]) is Lack.EVENTS:
            columns = " or ".join(file.source_of(OUTCOMES, column) for column in task.binary_columns)
            yield f"{task.name}: nobody has an event; check that {columns} is 1 for an event and 0 for none."


_NAMED = 8
"""Most empty columns that are named."""


def _empty(file: SiteFile, table: str, columns: Sequence[str]) -> Iterator[str]:
    """Name columns of a table, as the hospital calls them, without a value of any patient."""
    if columns:
        renamed = file.columns.get(table, {})
        names = ", ".join(renamed.get(column, column) for column in columns[:_NAMED])
        more = f" and {len(columns) - _NAMED:,} more" if len(columns) > _NAMED else ""
        what = f"no patient has a usable value in {names}{more}"
        yield f"{file.source_of(table)}: {what}; export them again if there should be any."
