"""Study of patients: hospitals with folds, their predictions, classical arms and curves."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.data.cohort import Cohort
from client.data.outcomes import folds
from client.data.tables import read_table
from client.families.reader import Holding
from client.rounds.split import split
from client.site_folder.site_file import SiteFile
from client.tables.header import Wanted
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.privacy_settings import Privacy
from common.evaluation.predictions import Prediction
from common.models.federated import FederatedModel
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch
from common.patients.divisions import UNKNOWN_GROUP
from common.patients.preprocessing import unpack_preprocessing
from common.privacy.planning import with_privacy
from common.tasks.task import OutcomeForm
from server.records.result import TrainedModel
from simulations.baselines.null_model import null_prediction
from simulations.families.patients.classical_arms import CAUSES, ClassicalArms, restricted
from simulations.families.patients.divisions import HOSPITAL
from simulations.families.patients.evidence import PatientEvidence
from simulations.families.patients.held_out import HeldOutTask
from simulations.families.patients.hospitals import Hospitals
from simulations.families.patients.prediction import predict
from simulations.families.study import ClassicalPredictions, HeldOut, Study
from simulations.report.outcomes.evidence import HeldOutPatients, TaskEvidence
from simulations.results.reasons import Cause
from simulations.results.schema import Hospital, Outcome


class PatientCohorts:
    """Patients of an experiment's hospitals.

    Attributes:
        hospitals: the patients in memory.
    """

    def __init__(self, hospitals: Hospitals, federation: Federation) -> None:
        self.hospitals = hospitals
        self._federation = federation

    @property
    def described(self) -> Mapping[str, Hospital]:
        """Hospital -> size of its whole cohort."""
        return self.hospitals.described

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Task -> its kind, metric, unit and names of outcomes."""
        return {
            task.name: Outcome(
                kind=task.kind, metric=task.headline_metric, unit=task.outcome_unit, names=task.outcome_names
            )
            for task in self._federation.tasks
        }

    @property
    def warnings(self) -> Sequence[str]:
        """Findings in the tables of single hospitals, and units that differ between hospitals."""
        return self.hospitals.warnings

    def labelled(self, question: str) -> Mapping[str, int]:
        """Hospital -> patients with a label of the task."""
        return {
            site: int(patients.labelled[question].any(1).sum())
            for site, patients in self.hospitals.labels.items()
        }

    def held_out_of(self, question: str, folds: Sequence[int]) -> Mapping[str, int]:
        """Hospital -> held-out patients of these folds with a label of the task."""
        counts = {}
        for site, patients in self.hospitals.labels.items():
            held = torch.isin(patients.fold, torch.tensor(list(folds)))
            counts[site] = int((patients.labelled[question].any(1) & held).sum())
        return counts

    def lacking(self, question: str, fold: int) -> Mapping[str, Cause]:
        """Hospital -> cause for which no network of its own can learn the task.

        It is looked for among the patients that such a network is fitted to, without those of validation.
        """
        training = self._federation.training
        task = next(task for task in self._federation.tasks if task.name == question)
        causes = {}
        for site, patients in self.hospitals.labels.items():
            rows = (patients.fold != fold).nonzero().squeeze(1)
            if len(rows) < 2:  # such a hospital refuses, and says so itself
                continue
            rows = rows[split(len(rows), training).training]
            lack = task.lack(patients.labels[question][rows], patients.labelled[question][rows])
            if lack is not None:
                causes[site] = CAUSES[lack]
        return causes

    def training_sizes(self, folds: Sequence[int]) -> list[int]:
        """Training patients of every hospital in every fold."""
        return self.hospitals.training_sizes(folds)

    def held_out(self, fold: int) -> int:
        """Number of patients whom a fold holds out."""
        return int((self.hospitals.held_out_in == fold).sum())

    def training_sample(self, fold: int) -> PatientBatch:
        """Training patients of a fold from all hospitals."""
        return self.hospitals.training_sample(fold)

    def predict(
        self,
        model: SharedModel,
        trained: TrainedModel,
        agreement: Federation,
        fold: int,
        site: str | None = None,
    ) -> dict[str, Prediction]:
        """Predict the held-out patients of all hospitals.

        Modalities that a hospital's own model never saw are masked.
        """
        assert isinstance(model, FederatedModel)
        patients = self.hospitals.held_out(fold)
        if site is not None:
            cohort = next(cohort for cohort in self.hospitals.cohorts if cohort.site == site)
            patients = restricted(patients, cohort.batch.select(cohort.fold != fold))
        return predict(trained, model, agreement, patients)

    def classical(
        self, fold: int, federated: TrainedModel, seed: int, stage: Callable[[str], None]
    ) -> ClassicalPredictions[Prediction]:
        """Fit the classical models of every task, with hospitals' own linear models among them."""
        training, test = self.hospitals.split(fold)
        preprocessing = unpack_preprocessing(federated.preprocessing)
        arms: dict[str, dict[str, Sequence[Prediction]]] = {}
        notes: list[str] = []
        causes: dict[str, Mapping[str, Cause]] = {}
        for task in self._federation.tasks:
            classical = ClassicalArms(task, seed, stage)
            alone = classical.alone(self.hospitals.cohorts, self._federation, fold, test)
            arms[task.name] = {"local_linear": alone, **classical.pooled(preprocessing, training, test)}
            notes += classical.notes
            causes[task.name] = classical.causes
        return ClassicalPredictions(arms, notes, causes)

    def judged(
        self, fold: int, arms: Mapping[str, Mapping[str, Sequence[Prediction]]]
    ) -> dict[str, HeldOut[Prediction]]:
        """Held-out patients by task, with their labels, all predictions and those of the null model."""
        test = self.hospitals.held_out(fold)
        rows = (self.hospitals.held_out_in == fold).numpy()
        groups = tuple(self.hospitals.groups[rows])
        held: dict[str, HeldOut[Prediction]] = {}
        for task in self._federation.tasks:
            labels, labelled = self.hospitals.training_labels(task.name, fold)
            training = (labels.double().numpy(), labelled.numpy())
            null = null_prediction(task, *training, len(test))
            is_labelled = test.labelled[task.name].any(1).numpy()
            held[task.name] = HeldOutTask(
                task=task,
                labels=test.labels[task.name].double().numpy(),
                labelled=test.labelled[task.name].numpy(),
                train_labels=training[0],
                train_labelled=training[1],
                groups=groups,
                arms={**arms[task.name], **({} if null is None else {"null": [null]})},
                divisions={
                    name: tuple(np.where(is_labelled, of[rows], UNKNOWN_GROUP))
                    for name, of in self.hospitals.divisions.items()
                },
            )
        return held

    def evidence(self, folds: Sequence[Mapping[str, HeldOut[Prediction]]]) -> PatientEvidence:
        """Curves of every task: the federated model's predictions for held-out patients."""
        return PatientEvidence(
            {
                task.name: TaskEvidence(task, [_curve_data(fold[task.name]) for fold in folds])
                for task in self._federation.tasks
            }
        )


def _curve_data(fold: HeldOut[Prediction]) -> HeldOutPatients:
    assert isinstance(fold, HeldOutTask)
    hospitals = fold.divisions.get(HOSPITAL, ())
    return HeldOutPatients(fold.labels, fold.labelled, fold.arms["federated"][0], fold.groups, hospitals)


class PatientStudy:
    """Patients as a kind of record to simulate."""

    def published(self, site: Path, file: SiteFile, agreement: Federation) -> Tensor:
        """Read the folds in the table of outcomes."""
        assert file.fold is not None
        wanted = Wanted(OUTCOMES, file.identifier_of(OUTCOMES), [file.fold], rules=file.rules_of(OUTCOMES))
        table = read_table(site / file.tables[OUTCOMES], wanted)
        if table.value is None:
            raise table.problems[0]
        held_out = folds(table.value, file.fold)
        if held_out.problems:
            raise held_out.problems[0]
        return held_out.value

    def strata(self, holding: Holding, agreement: Federation) -> list[float]:
        """Outcomes of the first task: events, or classes; the same for all of a task about numbers."""
        assert isinstance(holding, Cohort)
        task = agreement.tasks[0]
        if task.form is OutcomeForm.NUMBER:  # numbers are no groups that could be spread
            return [0.0] * len(holding.fold)
        labels: list[float] = holding.batch.labels[task.name][:, -1].tolist()
        return labels

    def under(self, agreement: Federation, privacy: Privacy) -> Federation:
        """Return the agreement without random masks and learnt task weights."""
        return with_privacy(agreement, privacy)

    def about(self, agreement: Federation, questions: Sequence[str]) -> Federation:
        """Return the agreement with some of its tasks."""
        tasks = tuple(task for task in agreement.tasks if task.name in questions)
        return agreement.model_copy(update={"tasks": tasks})

    def cohorts(
        self,
        sites: Sequence[Path],
        agreement: Federation,
        folds: Sequence[int],
        held_out_alone: bool,
        subgroups: Sequence[str] = (),
    ) -> PatientCohorts:
        """Read the hospitals' tables."""
        return PatientCohorts(Hospitals(sites, agreement, folds, held_out_alone, subgroups), agreement)


STUDY: Study[Federation, Prediction] = PatientStudy()
