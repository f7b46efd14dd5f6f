"""Held-out patients of a finished run with its predictions, by hospital."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.training.evaluation import logits
from common.agreement.agreement import FILE_NAME
from common.agreement.federation import Federation
from common.agreement.loading import load_agreement
from common.errors import OptionError
from common.evaluation.predictions import Prediction, concatenate
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network, network_of
from common.tasks.task import Task
from server.records.result import load_result
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class JudgedPatients:
    """P patients with predictions for one task, all with known outcomes.

    Attributes:
        task: of the predictions.
        prediction: by the run's model.
        labels: [P, columns].
        hospital: [P] name of the hospital.
    """

    task: Task
    prediction: Prediction
    labels: Array
    hospital: NDArray[np.str_]

    def __len__(self) -> int:
        """Number of patients."""
        return len(self.labels)

    @property
    def labelled(self) -> Mask:
        """Mask [P, columns] of known outcomes."""
        return np.ones(self.labels.shape, dtype=np.bool_)

    @property
    def hospitals(self) -> list[str]:
        """Names of the hospitals, in order."""
        return sorted(set(self.hospital.tolist()))

    def select(self, rows: Rows) -> "JudgedPatients":
        """Select patients by number."""
        return JudgedPatients(self.task, self.prediction.select(rows), self.labels[rows], self.hospital[rows])


def run_network(run: Path) -> tuple[Network, Federation]:
    """Read the model of a finished run.

    Raises:
        InputError: if it cannot be read, or is not about patients.
    """
    federation, result = load_agreement(run / FILE_NAME), load_result(run)
    if not isinstance(federation, Federation):
        raise OptionError(str(run), "is about no patients, whose intervals are judged", "name another run")
    remedy = f"put back the {FILE_NAME} that the run was made with, or run it again"
    return network_of(federation, run, result.weights, result.preprocessing, f"{run}/", remedy), federation


def read_cohorts(cohort: str, data: Path | None, federation: Federation, fold: int) -> list[Cohort]:
    """Read a cohort's hospitals, which have folds.

    Raises:
        InputError: if they cannot be read, or hold out nobody in this fold.
    """
    with open_cohort(cohort, data=data) as opened:
        cohorts = [read_cohort(site, federation) for site in find_sites(opened.folder)]
    if not any(bool((hospital.fold == fold).any()) for hospital in cohorts):
        what = f"has no patients who are held out in fold {fold}"
        raise OptionError(cohort, what, "name the fold that the run was tested on with --fold")
    return cohorts


def held_out(network: Network, task: Task, cohorts: Sequence[Cohort], fold: int) -> JudgedPatients:
    """Predict a task for the patients that a fold holds out, and whose outcome is labelled."""
    batches = [(hospital.site, hospital.batch.select(hospital.fold == fold)) for hospital in cohorts]
    return predicted(network, task, [(site, batch) for site, batch in batches if len(batch)])


def predicted(network: Network, task: Task, batches: Sequence[tuple[str, PatientBatch]]) -> JudgedPatients:
    """Predict a task for hospitals' patients, hospital by hospital."""
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    predictions, labels, hospitals = [], [], []
    for site, batch in batches:
        labelled = batch.select(batch.labelled[task.name].all(1))
        if not len(labelled):
            continue
        with torch.no_grad():
            outputs = logits(network.model, prepared.apply(labelled))[task.name]
        predictions.append(task.predict(outputs, prepared.cuts.get(task.name)))
        labels.append(labelled.labels[task.name].double().numpy())
        hospitals += [site] * len(labelled)
    return JudgedPatients(
        task, concatenate(predictions), np.concatenate(labels), np.array(hospitals, dtype=np.str_)
    )
