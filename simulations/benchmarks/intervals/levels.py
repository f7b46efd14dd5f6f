"""Observed over expected events and Brier score, before and after calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.data.cohort import Cohort
from client.rounds.split import split
from common.agreement.federation import Federation
from common.assessment.part import Whose
from common.calibration.calibrating import calibrated
from common.calibration.fitting import fitted
from common.calibration.task_sums import computed
from common.evaluation.predictions import ClassPrediction, Prediction, SurvivalPrediction, concatenate
from common.prediction.network import Network
from common.release.calibration_table import CalibrationTable, said
from common.tasks.task import Task
from common.validation.brier import brier_scores
from common.validation.observed import Outcomes, observed_risk
from simulations.benchmarks.intervals.coverage import FEW
from simulations.benchmarks.intervals.held_out import JudgedPatients, predicted

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LevelFigures:
    """Calibration of one task on held-out patients, the model's and with hospitals' levels.

    Attributes:
        task: its name.
        horizon: of the risk; None for classes.
        patients: judged.
        fitted: words on the events behind the levels.
        ratio: observed over expected, before and after.
        brier: Brier score, before and after.
        null: Brier score of the risk observed among these very patients.
        judged: hospitals with `FEW` events.
        further: those of them whose ratio is further from 1 after than before.
    """

    task: str
    horizon: float | None
    patients: int
    fitted: str
    ratio: tuple[float, float]
    brier: tuple[float, float]
    null: float
    judged: int
    further: int


def table_of_levels(
    network: Network, federation: Federation, task: Task, cohorts: Sequence[Cohort], fold: int, least: int
) -> CalibrationTable:
    """Fit levels on patients who neither trained nor tested, as the assessment of a run does."""
    sums = {}
    for hospital in cohorts:
        rows = (hospital.fold != fold).nonzero().squeeze(1)
        held = rows[split(len(rows), federation.training).of(Whose.HELD_OUT)]
        patients = hospital.batch.select(held)
        if not bool(patients.labelled[task.name].all(1).any()):
            continue
        made = predicted(network, task, [(hospital.site, patients)])
        answer = computed(task, made.prediction, made.labels, made.labelled, least)
        sums[hospital.site] = {f"{task.name}.{name}": values for name, values in answer.items()}
    return fitted([task], sums)


def level_figures(patients: JudgedPatients, table: CalibrationTable, horizon: float | None) -> LevelFigures:
    """Judge held-out patients before and after calibration.

    Args:
        patients: with predictions of times, or of two classes.
        table: of the levels.
        horizon: of the risk of a time.
    """
    hospitals = patients.hospitals
    rows = {name: np.flatnonzero(patients.hospital == name) for name in hospitals}
    moved = concatenate(
        [calibrated(patients.prediction.select(rows[name]), patients.task, table, name) for name in hospitals]
    )
    order = np.concatenate([rows[name] for name in hospitals])
    before, after = _risk(patients.prediction.select(order), horizon), _risk(moved, horizon)
    outcomes = _outcomes(patients, horizon).select(order)
    scores = [brier_scores(outcomes, risk) for risk in (before, after)]
    observed = observed_risk(outcomes).risk
    judged, further = 0, 0
    for name in hospitals:
        here = patients.hospital[order] == name
        if outcomes.had[here].sum() >= FEW:
            risk = observed_risk(outcomes.select(here)).risk
            far = [abs(np.log(risk / risks[here].mean())) for risks in (before, after)]
            judged, further = judged + 1, further + int(far[1] > far[0])
    return LevelFigures(
        task=patients.task.name,
        horizon=horizon,
        patients=len(patients),
        fitted=said(table.tasks[patients.task.name]),
        ratio=(observed / before.mean(), observed / after.mean()),
        brier=(scores[0][0], scores[1][0]),
        null=scores[0][1],
        judged=judged,
        further=further,
    )


def _risk(prediction: Prediction, horizon: float | None) -> Array:
    if isinstance(prediction, SurvivalPrediction):
        assert horizon is not None
        risk: Array = 1 - prediction.at([horizon])[:, 0]
        return risk
    assert isinstance(prediction, ClassPrediction)
    return prediction.probability[:, 1]


def _outcomes(patients: JudgedPatients, horizon: float | None) -> Outcomes:
    if horizon is None:
        return Outcomes.without_time(patients.labels[:, 0] > 0)
    return Outcomes(patients.labels[:, 0], patients.labels[:, 1] > 0, horizon)
