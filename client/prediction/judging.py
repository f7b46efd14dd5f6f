"""Judgement of a model on labelled patients of a hospital, for its validation."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from pydantic import Field

from client.prediction.provenance import TaskCalibrated
from common.agreement.federation import Federation
from common.assessment.floors import are_few
from common.evaluation.predictions import Prediction
from common.patients.batch import PatientBatch
from common.patients.divisions import divisions_of
from common.patients.preprocessing import Preprocessing
from common.validation.estimate import ValidationRecord
from common.validation.figures import FLOOR, TaskFigures, task_figures


class ObservedShare(ValidationRecord):
    """Part of a modality that was measured; None where it is about few patients.

    Attributes:
        patients: share of patients of whom anything was measured.
        columns: mean share of the columns that the model uses, among these patients.
    """

    patients: float | None = None
    columns: float | None = None


class RecordsJudgement(ValidationRecord):
    """Figures of a model on records.

    Attributes:
        tasks: task by task.
        observed: modality -> what was measured.
        calibration: task -> whether its risks are calibrated at the hospital; empty without a calibration.
    """

    tasks: tuple[TaskFigures, ...]
    observed: dict[str, ObservedShare]
    calibration: dict[str, TaskCalibrated] = Field(default_factory=dict)


def judge(
    federation: Federation,
    predictions: Mapping[str, Prediction],
    records: PatientBatch,
    horizons: Mapping[str, Sequence[float]],
    thresholds: Sequence[float],
    shares: Mapping[str, "np.typing.NDArray[np.float64]"],
) -> RecordsJudgement:
    """Judge predictions for labelled patients, divided by sex and age.

    Args:
        federation: names tasks and columns.
        predictions: task -> predictions for the patients.
        records: the patients.
        horizons: task -> horizons of the risk.
        thresholds: of risk, for the net benefit.
        shares: modality -> share [P] of the model's columns with a value.
    """
    divided = {name: of.tolist() for name, of in divisions_of(records, federation).items()}
    tasks = tuple(
        task_figures(
            task,
            predictions[task.name],
            records.labels[task.name].double().numpy(),
            records.labelled[task.name].numpy(),
            horizons[task.name],
            thresholds,
            divided,
        )
        for task in federation.tasks
    )
    return RecordsJudgement(tasks=tasks, observed={name: _share(of) for name, of in shares.items()})


def _share(columns: "np.typing.NDArray[np.float64]") -> ObservedShare:
    seen = columns > 0
    if seen.sum() < FLOOR or are_few(int((~seen).sum()), FLOOR):
        return ObservedShare()
    return ObservedShare(patients=float(seen.mean()), columns=float(columns[seen].mean()))


def observed_shares(
    patients: PatientBatch, prepared: Preprocessing, federation: Federation
) -> dict[str, "np.typing.NDArray[np.float64]"]:
    """Return by modality the share [P] of columns with a value, of those that the model uses.

    A column of categories counts once.
    """
    shares = {}
    for modality in federation.modalities:
        first = torch.arange(len(modality.columns)).tolist()
        start = len(modality.columns)
        for levels in modality.categories.values():
            first.append(start)
            start += len(levels)
        used = prepared.spread[modality.name].isfinite()[first]
        seen = patients.observed[modality.name][:, first][:, used]
        shares[modality.name] = seen.double().sum(1).numpy() / max(int(used.sum()), 1)
    return shares
