"""Runs of a search: federations trained on inner folds, and scores of their held-out units."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.site_folder.played_site import play
from common.agreement.agreement import FILE_NAME
from common.families.registry import family_of
from simulations.experiment.arms import Job, read_trained, train_side_by_side, write_agreement
from simulations.experiment.experiment import ExperimentPlan
from simulations.families.registry import study_of
from simulations.results.reasons import Cause
from simulations.tuning.finished import FinishedRuns, TuningRun
from simulations.tuning.grid import Candidate
from simulations.tuning.inner_folds import InnerFolds


@dataclass(frozen=True)
class Step:
    """Run of a candidate that a search needs."""

    candidate: Candidate
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folders."""
        return f"{self.candidate.agreement.digest[:16]}-fold{self.fold}-seed{self.seed}"


class Search:
    """Search on the inner folds of a cohort.

    A run has twins of the site folders to itself, below `work`, and a federation of their hospitals; only the file of a
    finished run lasts.

    Args:
        plan: of the cohort; its folder has the public files.
        inner: site folders with inner folds.
        finished: runs that are over.
        work: empty folder.
        device: device on which hospitals train, instead of that of their site files.
    """

    def __init__(
        self, plan: ExperimentPlan, inner: InnerFolds, finished: FinishedRuns, work: Path, device: str | None
    ) -> None:
        self._plan, self.inner, self._finished = plan, inner, finished
        self._work, self._device = work, device
        reading = inner.agreement(plan.federation)
        sites = [play(site).write(work / "read" / site.name) for site in inner.sites]
        self.cohorts = study_of(reading).cohorts(sites, reading, inner.folds, True)

    def run(self, step: Step) -> TuningRun | None:
        """Return a finished run; None if it is not finished."""
        return self._finished.read(step.candidate.agreement.digest, step.fold, step.seed)

    def train(
        self,
        steps: Sequence[Step],
        processes: int,
        on_run: Callable[[Step, TuningRun], None],
        is_over: Callable[[], bool],
    ) -> None:
        """Train runs that are not finished, and keep their scores.

        Args:
            steps: the runs, in the order in which they begin.
            processes: number of runs at the same time.
            on_run: is called with every run that has ended.
            is_over: whether no further run is to begin.
        """
        jobs = {self._work / "runs" / step.name: step for step in steps}

        def done(job: Job, failure: Cause | None) -> None:
            step = jobs[job.out]
            run = self._scored(step, job) if failure is None else _failed(step)
            self._finished.write(run)
            for folder in (job.out, *(site.parent for site in job.sites[:1])):
                shutil.rmtree(folder, ignore_errors=True)
            on_run(step, run)

        train_side_by_side(
            [self._job(step, out) for out, step in jobs.items()],
            min(processes, max(1, len(jobs))),
            done,
            is_over,
        )

    def _job(self, step: Step, out: Path) -> Job:
        agreement = self.inner.agreement(step.candidate.seeded(step.seed))
        folder = self._work / "agreements" / f"{step.candidate.agreement.digest[:16]}-seed{step.seed}"
        if not folder.is_dir():
            write_agreement(agreement, self._plan.folder, folder)
        sites = self._work / "sites" / step.name
        twins = tuple(play(site).write(sites / site.name) for site in self.inner.sites)
        return Job(folder / FILE_NAME, twins, step.fold, step.seed, out, self._device)

    def _scored(self, step: Step, job: Job) -> TuningRun:
        """Score the federation's model on the units that the inner fold held out."""
        agreement = self.inner.agreement(step.candidate.seeded(step.seed))
        family, trained = family_of(agreement), read_trained(job.out)
        model = family.model(agreement, family.public(agreement, self._plan.folder), step.seed)
        predictions = self.cohorts.predict(model, trained.result, agreement, step.fold)
        arms = {question: {"federated": [predictions[question]]} for question in self.cohorts.outcomes}
        held = self.cohorts.judged(step.fold, arms)
        return TuningRun(
            settings=step.candidate.agreement.digest,
            fold=step.fold,
            seed=step.seed,
            trained=True,
            scores={question: held[question].headline(predictions[question]) for question in held},
            seconds=sum(record.seconds for record in trained.rounds),
        )


def _failed(step: Step) -> TuningRun:
    settings = step.candidate.agreement.digest
    return TuningRun(settings=settings, fold=step.fold, seed=step.seed, trained=False)
