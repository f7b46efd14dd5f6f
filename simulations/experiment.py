"""What would these hospitals gain by training together? One experiment, fold by fold, arm by arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from client.cohort import Cohort, read_cohort
from common.batch import PatientBatch, concatenate
from common.errors import InputError
from common.federation import Federation
from common.metrics import Prediction
from common.model import HierarchicalMultimodalGNN, build_model
from common.preprocessing import Preprocessing, combine, site_statistics
from common.schema import SurvivalTask, Task
from server.journal import RoundRecord
from simulations import baselines
from simulations.arms import (
    Agreement,
    Job,
    Trained,
    alone,
    read_trained,
    train,
    train_side_by_side,
    write_agreement,
)
from simulations.cohorts.folders import folder_name, pool_sites, site_file
from simulations.engine import Engine
from simulations.process_pool import available_cores
from simulations.result import ARM_NAMES, Arm
from simulations.scoring import HeldOutTask

POOLED = "pooled"
"""Name of the one participant that holds everyone's patients."""


@dataclass(frozen=True)
class Plan:
    """One experiment: which cohort, which folds, how."""

    cohort: str
    folder: Path
    sites: Sequence[Path]
    federation: Federation
    folds: tuple[int, ...]
    seed: int
    engine: Engine
    work: Path
    command: str


class Audience(Protocol):
    """Who watches: the live display, or nobody."""

    def stage(self, text: str) -> None:
        """What is being done now."""

    def round(self, fold: int, record: RoundRecord) -> None:
        """A round of the federated arm is over."""


@dataclass(frozen=True)
class FoldOutcome:
    """One fold: the federated model, every task's held-out predictions, and each hospital's own model by name."""

    federated: Trained
    tasks: dict[str, HeldOutTask]
    local: dict[str, dict[str, Prediction]]


class Experiment:
    """The data of an experiment, read once through the hospitals' own reader."""

    def __init__(self, plan: Plan, audience: Audience) -> None:
        self.plan, self.audience = plan, audience
        self.federation = plan.federation
        audience.stage("reading the hospitals' tables")
        self.cohorts: list[Cohort] = [read_cohort(site, self.federation) for site in plan.sites]
        self.everyone = concatenate([cohort.batch for cohort in self.cohorts])
        self.held_out_in = torch.cat([cohort.fold for cohort in self.cohorts])
        self.groups = np.array([group for cohort in self.cohorts for group in cohort.group])
        self.agreement = write_agreement(self.federation, plan.folder, plan.work / "federated")
        self.model: HierarchicalMultimodalGNN = build_model(self.federation, plan.folder, plan.seed)
        self.notes: list[str] = []
        for fold in plan.folds:
            if not (self.held_out_in == fold).any():
                raise InputError(
                    f"--fold {fold}", "no patient is held out in that fold", "choose another fold"
                )

    def run(self) -> list[FoldOutcome]:
        """All arms on all folds."""
        return [self._fold(place) for place in range(len(self.plan.folds))]

    def _fold(self, place: int) -> FoldOutcome:
        fold = self.plan.folds[place]
        label = f"fold {place + 1} of {len(self.plan.folds)}"
        held = self.held_out_in == fold
        training, test = self.everyone.select(~held), self.everyone.select(held)

        self.audience.stage(f"{label}: {len(self.cohorts)} hospitals together")
        job = self._job(self.agreement, self.plan.sites, "federated", fold)
        train(job, self.plan.engine, lambda record: self.audience.round(place + 1, record))
        federated = read_trained(job.out)
        if missing := [c.site for c in self.cohorts if c.site not in federated.run.sites]:
            self.notes.append(f"Too few training patients to take part in {label}: {', '.join(missing)}.")
        local, pooled = self._alone_and_pooled(label, fold, test)
        networks: dict[Arm, list[dict[str, Prediction]]] = {
            "federated": [federated.predict(self.model, self.federation, test)],
            "local": list(local.values()),
            "pooled": pooled,
        }
        tasks = {}
        for task in self.federation.tasks:
            arms: dict[Arm, Sequence[Prediction]] = {
                arm: [model[task.name] for model in models] for arm, models in networks.items()
            }
            arms["local_linear"] = self._local_linear(label, task, fold, test)
            arms |= self._baselines(label, task, federated, training, test)
            tasks[task.name] = HeldOutTask(
                labels=test.labels[task.name].double().numpy(),
                labelled=test.labelled[task.name].numpy(),
                train_labels=training.labels[task.name].double().numpy(),
                train_labelled=training.labelled[task.name].numpy(),
                groups=tuple(self.groups[held.numpy()]),
                arms=arms,
            )
        return FoldOutcome(federated, tasks, local)

    def _job(self, agreement: Agreement, sites: Sequence[Path], arm: str, fold: int) -> Job:
        return Job(agreement.path, tuple(sites), fold, self.plan.seed, self.plan.work / arm / f"fold{fold}")

    def _alone_and_pooled(
        self, label: str, fold: int, test: PatientBatch
    ) -> tuple[dict[str, dict[str, Prediction]], list[dict[str, Prediction]]]:
        """Every hospital's own model by name, and the same network on pooled data, on everyone's held-out patients.

        What a hospital's model never saw is masked for it.
        """
        pooled_job = self._job(self._pooled_agreement(), [self._pooled_site()], POOLED, fold)
        own_jobs = {}
        for place, (cohort, site) in enumerate(zip(self.cohorts, self.plan.sites, strict=True)):
            arm = f"alone-{place}"
            agreement = write_agreement(
                alone(self.federation, cohort.site), self.plan.folder, self.plan.work / arm
            )
            own_jobs[cohort.site] = self._job(agreement, [self._unbound(site, arm)], arm, fold)
        jobs = [pooled_job, *own_jobs.values()]
        trained: set[Path] = set()
        seen = 0

        def done(job: Job, succeeded: bool) -> None:
            nonlocal seen
            seen += 1
            if succeeded:
                trained.add(job.out)
            self.audience.stage(f"{label}: pooled, and each hospital alone, {seen} of {len(jobs)}")

        self.audience.stage(f"{label}: pooled, and each hospital alone")
        processes = min(available_cores(), len(jobs)) if self.plan.engine == "processes" else 1
        train_side_by_side(jobs, processes, done)
        local = {}
        for cohort in self.cohorts:
            if own_jobs[cohort.site].out not in trained:
                self.notes.append(
                    f"{cohort.site} could not train a network of its own, for lack of patients or events; "
                    "it has no part in the mean over hospitals alone."
                )
                continue
            known = _restricted(test, cohort.batch.select(cohort.fold != fold))
            model = read_trained(own_jobs[cohort.site].out)
            local[cohort.site] = model.predict(self.model, self.federation, known)
        if pooled_job.out not in trained:
            self.notes.append("The network could not be trained on the pooled data.")
            return local, []
        return local, [read_trained(pooled_job.out).predict(self.model, self.federation, test)]

    def _unbound(self, site: Path, arm: str) -> Path:
        """The site folder, or a copy written once where it approves the federation's hash and no other."""
        file = site_file(site)
        if file.approved is None:
            return site
        folder = self.plan.work / arm / folder_name(file.name)
        return folder if folder.is_dir() else pool_sites([site], folder.parent, file.name)

    def _pooled_agreement(self) -> Agreement:
        return write_agreement(alone(self.federation, POOLED), self.plan.folder, self.plan.work / POOLED)

    def _pooled_site(self) -> Path:
        """Everyone's patients as one site folder, written once."""
        folder = self.plan.work / POOLED / POOLED
        return folder if folder.is_dir() else pool_sites(self.plan.sites, folder.parent, POOLED)

    def _local_linear(self, label: str, task: Task, fold: int, test: PatientBatch) -> list[Prediction]:
        """Every hospital's own penalised linear model, which suits few patients better than a network does."""
        models: list[Prediction] = []
        arm: Arm = "cox" if isinstance(task, SurvivalTask) else "logistic"
        if arm not in baselines.applicable(task):
            return models
        self.audience.stage(f"{label}: {task.name}, each hospital's own linear model")
        for cohort in self.cohorts:
            own = cohort.batch.select(cohort.fold != fold)
            agreement = alone(self.federation, cohort.site)
            try:
                preprocessing = combine([site_statistics(own, agreement)], agreement)
            except InputError:
                continue
            known = preprocessing.apply(_restricted(test, own))
            model = _fitted(arm, task, preprocessing.apply(own), known, preprocessing, self.plan.seed)
            models += [] if model is None else [model]
        return models

    def _baselines(
        self, label: str, task: Task, federated: Trained, training: PatientBatch, test: PatientBatch
    ) -> dict[Arm, Sequence[Prediction]]:
        """The classical models on pooled data, standardised as the federation standardises."""
        preprocessing = federated.result.preprocessing
        train, held = preprocessing.apply(training), preprocessing.apply(test)
        arms: dict[Arm, Sequence[Prediction]] = {}
        for arm in baselines.applicable(task):
            self.audience.stage(f"{label}: {task.name}, {arm} on pooled data")
            prediction = _fitted(arm, task, train, held, preprocessing, self.plan.seed)
            if prediction is None:
                self.notes.append(f"{ARM_NAMES[arm]}: could not be fitted for {task.name}.")
            else:
                arms[arm] = [prediction]
        if isinstance(task, SurvivalTask) and "forest" not in baselines.applicable(task):
            self.notes.append(
                "The survival forest was left out: it needs scikit-survival, consilium[baselines]."
            )
        return arms


def _fitted(
    arm: Arm, task: Task, train: PatientBatch, test: PatientBatch, preprocessing: Preprocessing, seed: int
) -> Prediction | None:
    """A classical model's predictions; None where its library cannot fit it, for instance to one outcome only."""
    try:
        return baselines.fit_predict(arm, task, train, test, preprocessing.cuts.get(task.name), seed)
    # lifelines' and numpy's failures to converge are ValueErrors
    except (InputError, ValueError, ArithmeticError):
        return None


def _restricted(test: PatientBatch, seen: PatientBatch) -> PatientBatch:
    """The test patients without the modalities that nobody in `seen` has."""
    observed = {
        name: mask if seen.observed[name].any() else torch.zeros_like(mask)
        for name, mask in test.observed.items()
    }
    return PatientBatch(test.values, observed, test.labels, test.labelled)
