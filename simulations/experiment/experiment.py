"""Experiment that compares training together, alone and pooled, fold by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from client.site_folder.played_site import play
from common.agreement.agreement import Agreement
from common.agreement.single_site import agreement_of_one
from common.counting import counted
from common.errors import InputError, IntegrityError, OptionError
from common.families.activity import activity_of
from common.families.registry import family_of
from common.models.shared import SharedModel
from server.records.journal import read_journal
from server.runs.coordination import RunFailed
from simulations.cohorts.folders import pool_sites
from simulations.engines.names import Engine
from simulations.engines.process_pool import available_cores
from simulations.experiment import private_arms
from simulations.experiment.absences import absences
from simulations.experiment.arms import (
    AgreementFile,
    Job,
    TrainedFederation,
    is_trained,
    read_trained,
    train_federation,
    train_side_by_side,
    write_agreement,
)
from simulations.experiment.linear_arm import NOTE, initial_weights, linear_part
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.private_arms import Target
from simulations.families.registry import study_of
from simulations.families.study import HeldOut
from simulations.report.screen.audience import Audience
from simulations.report.words.absences import absence_sentences
from simulations.results.reasons import NO_LABELS, Absent, Cause, Lacking
from simulations.results.schema import FoldActivity

_ALONE = (
    "Only the federated arm was run: nothing here says what hospitals gain over training alone, or lose "
    "against pooled data."
)


POOLED = "pooled"
"""Name of the participant that holds all patients."""


FINAL, NONE_HELD_OUT = "final", -1
"""Name of the run on all patients, and its fold."""


@dataclass(frozen=True)
class ExperimentPlan:
    """Experiment that is ready to be run.

    Attributes:
        cohort: name of the cohort in results.
        folder: folder with the federation file and its public files.
        sites: site folders, which name a fold.
        federation: agreement of all arms without privacy, with the changed settings.
        folds: folds to hold out in turn.
        engine: engine of the federated runs.
        work: empty folder for twins of site folders, agreements and runs.
        options: options of the simulation.
        targets: private runs beside the federated arm.
        runs: folder of the runs' journals, states and weights, from which they are resumed; without it they go with
            `work`.
    """

    cohort: str
    folder: Path
    sites: Sequence[Path]
    federation: Agreement
    folds: tuple[int, ...]
    engine: Engine
    work: Path
    options: ExperimentOptions = field(default_factory=ExperimentOptions)
    targets: tuple[Target, ...] = ()
    runs: Path | None = None

    def run_folder(self, arm: str, fold: int) -> Path:
        """The folder of one run's journal and weights."""
        return (self.runs or self.work) / arm / f"fold{fold}"

    @property
    def seed(self) -> int:
        """Seed of splits, first weights and all random draws."""
        return self.federation.training.seed


Predictions = dict[str, object]
"""Question -> predictions of one model for the held-out units."""


@dataclass(frozen=True)
class FoldOutcome:
    """Federated model, judged predictions, and hospitals' models of one fold.

    `tasks` has the held-out units of every question. `local` has the predictions of each hospital's own model, of the
    questions that its units answer. `absent` has the hospitals without a part in a federated run, and `causes` those
    without a model of their own.
    `spent` is the epsilon of the private runs by
    target; None is the federated arm under its own privacy. `activity` is None for a model that offers no parts.
    """

    federated: TrainedFederation
    tasks: Mapping[str, HeldOut[object]]
    local: dict[str, Predictions]
    spent: dict[float | None, float] = field(default_factory=dict)
    activity: FoldActivity | None = None
    absent: tuple[Absent, ...] = ()
    causes: Mapping[Lacking, Mapping[str, Mapping[str, Cause]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Separate:
    """Predictions of networks trained by each hospital alone and on pooled data.

    `causes` has, by question and hospital, why there is no network of the hospital's own.
    """

    local: dict[str, Predictions]
    pooled: list[Predictions]
    causes: Mapping[str, Mapping[str, Cause]]


class Experiment:
    """All arms of an experiment, on data that the hospitals' reader reads once.

    A run has twins of the site folders to itself, below the working folder: no run writes into a hospital's own
    folder, and a privacy ledger records one run.
    """

    def __init__(self, plan: ExperimentPlan, audience: Audience) -> None:
        self.plan, self.audience = plan, audience
        self.federation = plan.federation
        audience.stage("reading the hospitals' tables")
        sites = [play(site).write(plan.work / "read" / site.name) for site in plan.sites]
        self.study = study_of(self.federation)
        self.cohorts = self.study.cohorts(
            sites, self.federation, plan.folds, plan.options.federated_only, tuple(plan.options.subgroups)
        )
        self.agreement = write_agreement(self.federation, plan.folder, plan.work / "federated")
        self.model = self._model(self.federation)
        self._initial = initial_weights(self.model)
        self.notes: list[str] = [_ALONE] if plan.options.federated_only else []
        self.targets = tuple(target.sized(self.cohorts.training_sizes(plan.folds)) for target in plan.targets)
        if rounds := self.federation.linear_rounds:
            self.notes.append(NOTE.format(rounds=rounds))
        self._note_privacy()
        self.notes += self.cohorts.warnings
        for fold in plan.folds:
            if not self.cohorts.held_out(fold):
                raise OptionError(
                    f"--fold {fold}", "no patient is held out in that fold", "choose another fold"
                )

    def _model(self, agreement: Agreement) -> SharedModel:
        family = family_of(agreement)
        return family.model(agreement, family.public(agreement, self.plan.folder), self.plan.seed)

    def _note_privacy(self) -> None:
        hospitals = {name: hospital.patients for name, hospital in self.cohorts.described.items()}
        if self.federation.privacy is not None:
            self.notes += private_arms.notes(self.federation.privacy, True, hospitals)
        for target in self.targets[:1]:  # the targets differ in noise alone
            self.notes += private_arms.notes(target.privacy, target.declared, hospitals)

    def run(self) -> list[FoldOutcome]:
        """Run all arms on all folds."""
        return [self._fold(index) for index in range(len(self.plan.folds))]

    def final_fit(self) -> TrainedFederation | None:
        """Train the federation on all patients, held-out ones too; None if that could not be done."""
        self.audience.stage(
            f"final fit: {counted(len(self.cohorts.described), 'hospital')} together, on all patients"
        )
        job = self._job(self.agreement, self.plan.sites, FINAL, NONE_HELD_OUT)
        try:
            return self._together(job, len(self.plan.folds), "the final fit", FINAL)[0]
        except IntegrityError:  # a damaged checkpoint is no outcome of the experiment
            raise
        except (RunFailed, InputError) as error:
            self.notes.append(
                f"The final fit on all patients could not be trained, and has no model. {error}"
            )
            return None

    def _fold(self, index: int) -> FoldOutcome:
        fold = self.plan.folds[index]
        label = f"fold {index + 1} of {len(self.plan.folds)}"

        self.audience.stage(f"{label}: {counted(len(self.cohorts.described), 'hospital')} together")
        job = self._job(self.agreement, self.plan.sites, "federated", fold)
        federated, absent = self._together(job, index, label)
        spent: dict[float | None, float] = {}
        if self.federation.privacy is not None:
            spent[None] = private_arms.spent(job.sites, self.federation.privacy.delta)
        networks: dict[str, list[Predictions]] = {
            "federated": [self._predict(self.model, federated, self.federation, fold)]
        }
        if self.federation.linear_rounds:
            linear = linear_part(federated.result, self._initial, self.model)
            predicted = self.cohorts.predict(self.model, linear, self.federation, fold)
            networks["federated_linear"] = [predicted]
        for target in self.targets:
            networks[target.arm], spent[target.epsilon], without = self._privately(target, index, label)
            absent += without
        local: dict[str, Predictions] = {}
        causes: dict[Lacking, Mapping[str, Mapping[str, Cause]]] = {}
        if not self.plan.options.federated_only:
            separate = self._alone_and_pooled(label, fold)
            local, causes["model"] = separate.local, separate.causes
            networks |= {"local": list(local.values()), "pooled": separate.pooled}
        arms: dict[str, dict[str, Sequence[object]]] = {
            question: {
                arm: [model[question] for model in models if question in model]
                for arm, models in networks.items()
            }
            for question in self.cohorts.outcomes
        }
        if not self.plan.options.federated_only:
            causes["linear-model"] = self._add_classical(arms, fold, federated, label)
        untaught = self._untaught(fold, absent)
        for question in self.cohorts.outcomes if self.plan.options.federated_only else ():
            of_question = [hospital for hospital in untaught if hospital.task == question]
            self.notes += absence_sentences(of_question, f"the training for {question} in {label}")
        return FoldOutcome(
            federated=federated,
            tasks=self.cohorts.judged(fold, arms),
            local=local,
            spent=spent,
            activity=self._activity(federated, fold),
            absent=(*absent, *untaught),
            causes=causes,
        )

    def _untaught(self, fold: int, absent: Sequence[Absent]) -> list[Absent]:
        """Hospitals in the federated run whose training units answer some question nowhere."""
        gone = {hospital.site for hospital in absent if hospital.arm == "federated" and not hospital.rounds}
        return [
            Absent(site=site, task=question, **cause.model_dump())
            for question in self.cohorts.outcomes
            for site, cause in self.cohorts.lacking(question, fold).items()
            if cause == NO_LABELS and site not in gone
        ]

    def _activity(self, trained: TrainedFederation, fold: int) -> FoldActivity | None:
        """Measure the federated model's parts on training patients, at first and kept weights."""
        family = family_of(self.federation)
        prepared = family.unpacked(trained.result.preprocessing)
        patients = family.apply(self.cohorts.training_sample(fold), prepared)
        measured = []
        for weights in (self._initial, trained.result.weights):
            self.model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
            measured.append(activity_of(family, self.model, patients, self.federation, prepared))
        initial, last = measured
        return None if initial is None or last is None else FoldActivity(initial=initial, kept=last)

    def _predict(
        self,
        model: SharedModel,
        trained: TrainedFederation,
        agreement: Agreement,
        fold: int,
        site: str | None = None,
    ) -> Predictions:
        return self.cohorts.predict(model, trained.result, agreement, fold, site)

    def _add_classical(
        self,
        arms: Mapping[str, dict[str, Sequence[object]]],
        fold: int,
        federated: TrainedFederation,
        label: str,
    ) -> Mapping[str, Mapping[str, Cause]]:
        """Add the arms that are no federation, and note those that could not be fitted.

        Returns question -> hospital -> cause for which it has no linear model of its own.
        """
        classical = self.cohorts.classical(
            fold, federated.result, self.plan.seed, lambda text: self.audience.stage(f"{label}: {text}")
        )
        for question, predictions in classical.arms.items():
            arms[question].update(predictions)
        self.notes += classical.notes
        return classical.causes

    def _together(
        self, job: Job, index: int, label: str, arm: str = "federated"
    ) -> tuple[TrainedFederation, tuple[Absent, ...]]:
        """Train all hospitals together, and note those without a part."""
        plan = self.plan
        if not is_trained(job):
            report = partial(self.audience.round, index + 1)
            train_federation(job, plan.engine, report, plan.options.ray_address)
        absent = absences(read_journal(job.out), list(self.cohorts.described), arm)
        self.notes += absence_sentences(absent, label)
        return read_trained(job.out), absent

    def _privately(
        self, target: Target, index: int, label: str
    ) -> tuple[list[Predictions], float, tuple[Absent, ...]]:
        """Predictions of one private run, none if it could not be trained, and the spent epsilon.

        With them come the hospitals that it went without.
        """
        label = f"{label}, epsilon {target.epsilon:g}"
        self.audience.stage(f"{label}: {counted(len(self.cohorts.described), 'hospital')} together")
        work = self.plan.work / target.folder
        agreement = write_agreement(target.federation, self.plan.folder, work)
        job = self._job(agreement, self.plan.sites, target.folder, self.plan.folds[index])
        try:
            trained, absent = self._together(job, index, label, target.arm)
        except IntegrityError:  # a damaged checkpoint is no outcome of the experiment
            raise
        except (RunFailed, InputError) as error:
            self.notes.append(f"Federated, {label}, could not be trained and has no figures. {error}")
            return [], private_arms.spent(job.sites, target.privacy.delta), ()
        if trained.run.status == "partial":
            self.notes.append(f"{label}: some round lacked a quorum of hospitals and does not count.")
        model = self._model(target.federation)
        predicted = self._predict(model, trained, target.federation, self.plan.folds[index])
        return [predicted], private_arms.spent(job.sites, target.privacy.delta), absent

    def _twins(self, sites: Sequence[Path], folder: Path, agreement: Agreement) -> list[Path]:
        """Write twins of site folders, which name columns of the agreement's tables alone."""
        twins, tables = [], agreement.tables
        for site in sites:
            file = play(site)
            columns = {
                table: {column: name for column, name in renamed.items() if column in tables[table]}
                for table, renamed in file.columns.items()
            }
            twins.append(file.model_copy(update={"columns": columns}).write(folder / site.name))
        return twins

    def _job(self, agreement: AgreementFile, sites: Sequence[Path], arm: str, fold: int) -> Job:
        """Make a separate run, with new twins of its sites."""
        work = self.plan.work / arm
        twins = self._twins(sites, work / f"sites-fold{fold}", agreement.federation)
        out = self.plan.run_folder(arm, fold)
        return Job(
            agreement.path,
            tuple(twins),
            fold,
            self.plan.seed,
            out,
            self.plan.options.device,
            checkpoint=None if self.plan.runs is None else out / "state",
            is_assessed=arm in ("federated", FINAL),
        )

    def _alone_and_pooled(self, label: str, fold: int) -> _Separate:
        """Train each hospital's own network, and the same network on pooled data.

        A hospital's network learns the questions that its training units answer. Predictions are for the held-out
        units of all hospitals; what a hospital's model never saw is masked.
        """
        pooled_job = self._job(self._pooled_agreement(), [self._pooled_site()], POOLED, fold)
        causes = {question: dict(self.cohorts.lacking(question, fold)) for question in self.cohorts.outcomes}
        own_jobs: dict[str, tuple[Job, Agreement]] = {}
        for number, (name, site) in enumerate(zip(self.cohorts.described, self.plan.sites, strict=True)):
            if questions := [question for question, without in causes.items() if name not in without]:
                own_jobs[name] = self._own_job(name, number, site, questions, fold)
        jobs = [pooled_job, *(job for job, _ in own_jobs.values())]
        failed: dict[Path, Cause] = {}
        seen = 0

        def done(job: Job, failure: Cause | None) -> None:
            nonlocal seen
            seen += 1
            failed.update({} if failure is None else {job.out: failure})
            self.audience.stage(f"{label}: pooled, and each hospital alone, {seen} of {len(jobs)}")

        self.audience.stage(f"{label}: pooled, and each hospital alone")
        processes = min(available_cores(), len(jobs)) if self.plan.engine == "processes" else 1
        train_side_by_side(jobs, processes, done)
        alone = agreement_of_one(self.federation, POOLED)  # without privacy, which scales a network otherwise
        unnoised = self.model if self.federation.privacy is None else self._model(alone)
        local = {}
        for name, (job, agreement) in own_jobs.items():
            if failure := failed.get(job.out):
                for without in causes.values():
                    without.setdefault(name, failure)
                continue
            learns_all = not any(name in without for without in causes.values())
            model = unnoised if learns_all else self._model(agreement)
            local[name] = self._predict(model, read_trained(job.out), agreement, fold, name)
        pooled = []
        if failure := failed.get(pooled_job.out):
            self.notes.append(f"The network could not be trained on the pooled data: {failure.text}")
        else:
            pooled = [self._predict(unnoised, read_trained(pooled_job.out), alone, fold)]
        return _Separate(local, pooled, causes)

    def _own_job(
        self, name: str, number: int, site: Path, questions: Sequence[str], fold: int
    ) -> tuple[Job, Agreement]:
        """Make the run of a hospital alone, about these questions, and its agreement."""
        alone, arm = agreement_of_one(self.federation, name), f"alone-{number}"
        if len(questions) < len(self.cohorts.outcomes):
            alone = self.study.about(alone, questions)
            arm = f"{arm}-{alone.digest[:8]}"  # another model, with a journal and a state of its own
        agreement = write_agreement(alone, self.plan.folder, self.plan.work / arm)
        return self._job(agreement, [site], arm, fold), alone

    def _pooled_agreement(self) -> AgreementFile:
        return write_agreement(
            agreement_of_one(self.federation, POOLED), self.plan.folder, self.plan.work / POOLED
        )

    def _pooled_site(self) -> Path:
        """Write the units of all hospitals as one site folder, once."""
        folder = self.plan.work / POOLED / POOLED
        return folder if folder.is_dir() else pool_sites(self.plan.sites, folder.parent, POOLED)
