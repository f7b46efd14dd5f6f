"""Runs behind the rows of one cohort: trained side by side, kept on disk, and scored once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.agreement.federation import Federation
from common.errors import InvalidContentError, StateError
from common.evaluation.predictions import Prediction
from common.families.registry import family_of
from common.files import write_whole
from common.lifetime.signals import with_remedy
from common.models.shared import SharedModel
from simulations.baselines.null_model import null_prediction
from simulations.benchmarks.field.changes import Changed
from simulations.benchmarks.field.figures import RowFigures
from simulations.benchmarks.field.predictions import Mask, averaged
from simulations.benchmarks.field.rows import FieldRow, Parts
from simulations.cohorts.cohort_folder import CohortFolder
from simulations.cohorts.folders import find_sites, site_files
from simulations.engines.process_pool import available_cores
from simulations.experiment.arms import AgreementFile, Job, read_trained, train_side_by_side
from simulations.experiment.checkpoint import files_digest
from simulations.experiment.linear_arm import initial_weights, linear_part, with_linear_rounds
from simulations.experiment.preparing import MADE_FOLDS
from simulations.families.folds import with_folds
from simulations.families.patients.held_out import HeldOutTask
from simulations.families.patients.study import PatientCohorts, PatientStudy
from simulations.results.reasons import Cause

Rows = Mapping[str, tuple[FieldRow, Parts]]
"""Name -> (row, its runs)."""

TABLES = "tables.sha256"
"""File with the hash of the site folders on which the runs beside it were trained."""


def require_same_tables(cohort: CohortFolder, out: Path) -> None:
    """Refuse to go on in a folder whose runs were trained on other tables.

    Args:
        cohort: as it was opened, before any division of its patients.
        out: folder of the cohort's finished runs; an empty one is marked with the tables.

    Raises:
        StateError: if the tables of the cohort have changed since.
    """
    tables = files_digest(site_files(find_sites(cohort.folder)))
    file = out / TABLES
    if not file.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_whole(file, tables.encode() + b"\n")
    elif file.read_text().strip() != tables:
        raise StateError(str(out), "holds runs on other tables of this cohort", "give --out another folder")


@contextmanager
def kept_when_interrupted(out: Path | None) -> Iterator[None]:
    """Have an interruption say that finished runs are in `out`; None keeps none."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        if out is None:
            raise
        remedy = f"finished runs are in {out}, and the same command goes on."
        raise with_remedy(interruption, remedy) from None


@dataclass(frozen=True)
class FieldRun:
    """One changed cohort that is trained with one seed, fold by fold.

    Attributes:
        changed: the cohort after the change.
        agreement: its federation file.
        sites: twins of the site folders, for reading.
        jobs: fold -> job.
    """

    changed: Changed
    agreement: AgreementFile
    sites: tuple[Path, ...]
    jobs: dict[int, Job]


class CohortRuns:
    """Runs on one cohort of patients.

    Args:
        cohort: the cohort.
        seeds: seeds of first weights, splits and all random draws; the folds are the same for all.
        folds: number of folds to hold out in turn, or all where the cohort has fewer.
        work: empty folder for agreements and twins of site folders.
        out: folder of the cohort's finished runs and figures.

    Raises:
        InputError: if the cohort's records are no patients, or its tables cannot be read.
    """

    def __init__(self, cohort: CohortFolder, seeds: Sequence[int], folds: int, work: Path, out: Path) -> None:
        agreed = with_linear_rounds(cohort.federation)
        if not isinstance(agreed, Federation):
            what = f"is about {agreed.kind}, and the table of patients"
            raise InvalidContentError(cohort.name, what, "name a cohort of patients")
        self.name, self.federation, self.seeds = cohort.name, agreed, tuple(seeds)
        self._public, self._work, self._out = cohort.folder, work, out
        self._study = PatientStudy()
        self._sites, held = with_folds(
            self._study, find_sites(cohort.folder), agreed, work / "folds", MADE_FOLDS, 0
        )
        self.folds = held[:folds]
        self._runs: dict[tuple[str, int], FieldRun] = {}
        self._everyone: PatientCohorts | None = None

    def train(self, rows: Rows, on_done: Callable[[int, int], None]) -> dict[str, str]:
        """Train what no earlier call has, and return title -> reason of rows that failed.

        `on_done` is called with the number of finished and of all runs.
        """
        needed: dict[Path, Job] = {}
        for row, parts, seed in self._unscored(rows):
            if row.model != "null":
                needed |= {job.out: job for run in self.runs(parts, seed) for job in run.jobs.values()}
        failed: dict[Path, Cause] = {}
        finished = 0

        def done(job: Job, failure: Cause | None) -> None:
            nonlocal finished
            finished += 1
            failed.update({} if failure is None else {job.out: failure})
            on_done(finished, len(needed))

        train_side_by_side(list(needed.values()), max(1, min(available_cores(), len(needed))), done)
        reasons = {}
        for row, parts, seed in self._unscored(rows):
            if row.model != "null":
                jobs = [job for run in self.runs(parts, seed) for job in run.jobs.values()]
                if lost := [job for job in jobs if job.out in failed]:
                    what = f"fold {lost[0].fold} with seed {seed} could not be trained"
                    reasons[row.title] = f"{what}: {failed[lost[0].out].text}"
        return reasons

    def figures(self, row: FieldRow, parts: Parts) -> list[RowFigures]:
        """Figures of a trained row, one per seed, kept on disk."""
        return [self._kept(row, parts, seed) or self._scored(row, parts, seed) for seed in self.seeds]

    def _unscored(self, rows: Rows) -> Iterator[tuple[FieldRow, Parts, int]]:
        """Rows and seeds of which no figures are kept."""
        for row, parts in rows.values():
            for seed in self.seeds:
                if self._kept(row, parts, seed) is None:
                    yield row, parts, seed

    def _file(self, row: FieldRow, seed: int) -> Path:
        return self._out / f"{row.name}-seed{seed}.json"

    def _kept(self, row: FieldRow, parts: Parts, seed: int) -> RowFigures | None:
        """The figures that an earlier call kept of the same folds and agreements."""
        kept = RowFigures.read(self._file(row, seed))
        if kept is None or (kept.folds, kept.digests) != (self.folds, self._digests(parts, seed)):
            return None
        return kept

    def _digests(self, parts: Parts, seed: int) -> dict[str, str]:
        return {
            name: run.agreement.federation.digest
            for name, run in zip(parts, self.runs(parts, seed), strict=True)
        }

    def runs(self, parts: Parts, seed: int) -> list[FieldRun]:
        """Prepare the runs behind a row, once."""
        return [self._run(name, parts, seed) for name in parts]

    def _run(self, name: str, parts: Parts, seed: int) -> FieldRun:
        """Prepare a run, once."""
        if (name, seed) not in self._runs:
            training = self.federation.training.model_copy(update={"seed": seed})
            seeded = self.federation.model_copy(update={"training": training})
            changed = parts[name](seeded, self._public, seed)
            work = self._work / f"{name}-seed{seed}"
            agreement = changed.write(self._public, work)
            # another agreement is another run: what was trained under it is no state of this one
            out = self._out / "runs" / f"{name}-{agreement.federation.digest[:16]}"
            jobs = {fold: self._job(changed, agreement, work, fold, seed, out) for fold in self.folds}
            read = tuple(changed.site(site, work / "read" / site.name) for site in self._sites)
            self._runs[name, seed] = FieldRun(changed, agreement, read, jobs)
        return self._runs[name, seed]

    def _job(
        self, changed: Changed, agreement: AgreementFile, work: Path, fold: int, seed: int, out: Path
    ) -> Job:
        twins = [changed.site(site, work / f"sites-fold{fold}" / site.name, fold) for site in self._sites]
        folder = out / f"fold{fold}"
        return Job(agreement.path, tuple(twins), fold, seed, folder, checkpoint=folder / "state")

    def _scored(self, row: FieldRow, parts: Parts, seed: int) -> RowFigures:
        """Score a row, and keep the figures."""
        scores: dict[str, dict[str, list[float]]] = {}
        predictions = self._null() if row.model == "null" else self._predicted(row, parts, seed)
        for fold in self.folds:
            for task, held in self._held_out(fold).items():
                if task in predictions[fold]:
                    for metric, score in held.scores(predictions[fold][task]).items():
                        scores.setdefault(task, {}).setdefault(metric, []).append(score)
        figures = RowFigures(
            cohort=self.name,
            row=row.name,
            seed=seed,
            folds=self.folds,
            digests=self._digests(parts, seed),
            scores={
                task: {
                    metric: tuple(score if np.isfinite(score) else None for score in by_fold)
                    for metric, by_fold in metrics.items()
                }
                for task, metrics in scores.items()
            },
        )
        figures.write(self._file(row, seed))
        return figures

    def _everybody(self) -> PatientCohorts:
        """The held-out patients of the unchanged cohort."""
        if self._everyone is None:
            self._everyone = self._study.cohorts(self._sites, self.federation, self.folds, True)
        return self._everyone

    def _held_out(self, fold: int) -> dict[str, HeldOutTask]:
        nothing: dict[str, Any] = {task.name: {} for task in self.federation.tasks}
        judged = self._everybody().judged(fold, nothing)
        return {task: held for task, held in judged.items() if isinstance(held, HeldOutTask)}

    def _null(self) -> dict[int, dict[str, Prediction]]:
        """Fold -> task -> the same prediction for all held-out patients."""
        return {
            fold: {
                task: prediction
                for task, held in self._held_out(fold).items()
                if (
                    prediction := null_prediction(
                        held.task, held.train_labels, held.train_labelled, len(held)
                    )
                )
                is not None
            }
            for fold in self.folds
        }

    def _predicted(self, row: FieldRow, parts: Parts, seed: int) -> dict[int, dict[str, Prediction]]:
        """Fold -> task -> prediction, averaged over the runs that predict the task."""
        by_run = [self._of_run(run, row.model == "linear") for run in self.runs(parts, seed)]
        seen = [self._seen(run.changed.federation) for run in self.runs(parts, seed)]
        predictions: dict[int, dict[str, Prediction]] = {}
        for fold in self.folds:
            predictions[fold] = {}
            for task in self.federation.task_names:
                models = [number for number, run in enumerate(by_run) if task in run[fold]]
                if models:
                    of_task = [by_run[number][fold][task] for number in models]
                    predictions[fold][task] = averaged(of_task, [seen[number][fold] for number in models])
        return predictions

    def _of_run(self, run: FieldRun, linear: bool) -> dict[int, dict[str, Prediction]]:
        """Fold -> task -> prediction of the kept weights, or of their linear part."""
        federation = run.agreement.federation
        assert isinstance(federation, Federation)
        family = family_of(federation)
        model: SharedModel = family.model(
            federation, family.public(federation, run.agreement.path.parent), federation.training.seed
        )
        initial = initial_weights(model)
        cohorts = self._study.cohorts(run.sites, federation, self.folds, True)
        predictions = {}
        for fold, job in run.jobs.items():
            trained = read_trained(job.out).result
            if linear:
                trained = linear_part(trained, initial, model)
            predictions[fold] = cohorts.predict(model, trained, federation, fold)
        return predictions

    def _seen(self, federation: Federation) -> dict[int, Mask]:
        """Fold -> [P] whether a held-out patient has any modality of a federation."""
        seen = {}
        for fold in self.folds:
            patients = self._everybody().hospitals.held_out(fold)
            present = [patients.present(modality.name).numpy() for modality in federation.modalities]
            seen[fold] = np.any(present, axis=0)
        return seen
