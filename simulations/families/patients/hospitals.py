"""Patients of an experiment's hospitals in memory: all of them, or the held-out ones only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.data.cohort import Cohort
from client.families.played import read_played
from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.patients.batch import PatientBatch, concatenate
from common.tasks.task import OutcomeForm, Task
from simulations.families.patients.divisions import divisions
from simulations.families.patients.units import Spread, spreads, unit_differences
from simulations.results.schema import Hospital

SAMPLED = 400
"""Patients in memory on whom a model's parts are watched."""


def _require_events(task: Task, labels: Tensor, labelled: Tensor) -> None:
    """Refuse times to an event that no patient of any hospital has."""
    rows = labelled.all(1)
    if task.form is OutcomeForm.TIME_TO_EVENT and not task.happened(labels[rows]).any():
        what = "no patient of any hospital has an event"
        remedy = f"check that {' or '.join(task.binary_columns)} is 1 for an event and 0 for none, and not the reverse"
        raise InvalidContentError(f"task {task.name}", what, remedy)


@dataclass(frozen=True)
class PatientLabels:
    """Labels of a hospital's P patients.

    Attributes:
        labels, labelled: task -> [P, columns] labels and masks.
        fold: [P] fold in which a patient is held out; -1 for none.
    """

    labels: Mapping[str, Tensor]
    labelled: Mapping[str, Tensor]
    fold: Tensor


class Hospitals:
    """The cohorts of an experiment, read once through the hospitals' own reader.

    Args:
        sites: site folders.
        federation: agreement of the hospitals.
        folds: folds that are held out in turn.
        held_out_alone: keep no values of patients outside these folds; hospitals train on their own copy.
        subgroups: columns by which patients are divided besides hospital, sex and age.

    Attributes:
        cohorts: cohorts of the hospitals; with `held_out_alone` only patients who are held out in one of `folds`.
        described: hospital -> size of its whole cohort.
        labels: hospital -> labels of its whole cohort.
        warnings: sentences on what may be wrong in the tables.
        everyone: patients of all `cohorts`.
        held_out_in: [P] fold of the patients; -1 for none.
        groups: [P] subgroup of the patients.
        divisions: division -> group [P] of the patients.
    """

    def __init__(
        self,
        sites: Sequence[Path],
        federation: Federation,
        folds: Sequence[int],
        held_out_alone: bool,
        subgroups: Sequence[str] = (),
    ) -> None:
        self.cohorts: list[Cohort] = []
        self.described: dict[str, Hospital] = {}
        self._folds: list[Tensor] = []
        sampled: list[tuple[PatientBatch, Tensor]] = []
        by_site: dict[str, PatientLabels] = {}
        self.warnings: list[str] = []
        quartiles: dict[str, dict[str, Spread]] = {}
        for site in sites:
            cohort = read_played(site, federation)
            assert isinstance(cohort, Cohort)
            self.warnings += _warnings(cohort)
            quartiles[cohort.site] = spreads(cohort, federation)
            self.described[cohort.site] = _described(cohort, federation.tasks)
            self._folds.append(cohort.fold)
            if sum(len(fold) for _, fold in sampled) < SAMPLED:
                sampled.append(_sample(cohort, max(1, SAMPLED // len(sites))))
            by_site[cohort.site] = PatientLabels(cohort.batch.labels, cohort.batch.labelled, cohort.fold)
            self.cohorts.append(_held_out(cohort, folds) if held_out_alone else cohort)
        self.everyone = concatenate([cohort.batch for cohort in self.cohorts])
        self.held_out_in = torch.cat([cohort.fold for cohort in self.cohorts])
        self.groups = np.array([group for cohort in self.cohorts for group in cohort.group])
        self.divisions = divisions(self.cohorts, federation, subgroups)
        self._all_folds = torch.cat(self._folds)
        self._sampled = concatenate([batch for batch, _ in sampled])
        self._sampled_folds = torch.cat([fold for _, fold in sampled])
        self.warnings += [f"{site}: {what}" for site, what in unit_differences(quartiles)]
        self.labels: Mapping[str, PatientLabels] = by_site
        self._labels = {
            task.name: torch.cat([site.labels[task.name] for site in by_site.values()])
            for task in federation.tasks
        }
        self._labelled = {
            task.name: torch.cat([site.labelled[task.name] for site in by_site.values()])
            for task in federation.tasks
        }

        for task in federation.tasks:
            _require_events(task, self._labels[task.name], self._labelled[task.name])

    @property
    def names(self) -> tuple[str, ...]:
        """The hospitals, in order of their folders."""
        return tuple(self.described)

    def training_sizes(self, folds: Sequence[int]) -> list[int]:
        """Training patients of every hospital in every fold."""
        return [int((held != fold).sum()) for held in self._folds for fold in folds]

    def training_labels(self, task: str, fold: int) -> tuple[Tensor, Tensor]:
        """(labels, labelled) [T, columns] of all patients whom a fold does not hold out."""
        training = self._all_folds != fold
        return self._labels[task][training], self._labelled[task][training]

    def held_out(self, fold: int) -> PatientBatch:
        """Patients of `everyone` whom a fold holds out."""
        return self.everyone.select(self.held_out_in == fold)

    def training_sample(self, fold: int) -> PatientBatch:
        """Sample of patients whom a fold does not hold out.

        It has as many of each hospital, or all of a small one.
        """
        return self._sampled.select(self._sampled_folds != fold)

    def split(self, fold: int) -> tuple[PatientBatch, PatientBatch]:
        """(training, held-out) patients among `everyone`."""
        return self.everyone.select(self.held_out_in != fold), self.held_out(fold)


def _warnings(cohort: Cohort) -> Iterator[str]:
    """Warnings of a hospital's tables, with names of files instead of paths."""
    for warning in cohort.warnings:
        for path in cohort.file.tables.values():
            warning = warning.replace(str(path), Path(path).name)
        yield f"{cohort.site}: {warning}"


def _held_out(cohort: Cohort, folds: Sequence[int]) -> Cohort:
    """The patients whom one of these folds holds out."""
    kept = torch.isin(cohort.fold, torch.tensor(list(folds)))
    group = tuple(name for name, keep in zip(cohort.group, kept.tolist(), strict=True) if keep)
    raw = {name: cells[kept] for name, cells in cohort.raw.items()}
    return replace(cohort, batch=cohort.batch.select(kept), raw=raw, fold=cohort.fold[kept], group=group)


def _sample(cohort: Cohort, patients: int) -> tuple[PatientBatch, Tensor]:
    """Patients evenly spaced over a cohort's rows, and their folds."""
    rows = torch.linspace(0, len(cohort.fold) - 1, min(patients, len(cohort.fold))).long()
    return cohort.batch.select(rows), cohort.fold[rows]


def _described(cohort: Cohort, tasks: tuple[Task, ...]) -> Hospital:
    batch = cohort.batch
    events = {}
    for task in (task for task in tasks if task.form is not OutcomeForm.NUMBER):
        labels, labelled = batch.labels[task.name], batch.labelled[task.name]
        events[task.name] = int((task.happened(labels) & labelled.any(1)).sum())
    modalities = {name: int(batch.present(name).sum()) for name in batch.values}
    return Hospital(patients=len(batch), modalities=modalities, events=events)
