"""Validation of the federated model on held-out patients, for result and report."""

import math
from collections.abc import Sequence

import numpy as np

from common.evaluation.classification import mean_auroc
from common.evaluation.predictions import Prediction, SurvivalPrediction, concatenate
from common.evaluation.survival import c_index, survival_labels
from common.tasks.task import OutcomeForm, Task
from common.validation.figures import FLOOR, TaskFigures, task_figures
from common.validation.meta_analysis import Scale, concordance_error, pool
from common.validation.net_benefit import THRESHOLDS
from common.validation.observed import Outcomes, observed_risk
from common.validation.ratio import by_kaplan_meier
from simulations.report.outcomes.curves import time_axis
from simulations.report.outcomes.evidence import Array, HeldOutPatients, TaskEvidence
from simulations.results.validation import SimulatedValidation

_POINTS = 120
"""Times at which curves of several folds are joined."""


def validation_of(evidence: TaskEvidence) -> SimulatedValidation | None:
    """Judge the federated model on all folds; None for a number or without labels."""
    task, folds = evidence.task, evidence.folds
    if task.form in (OutcomeForm.NUMBER, OutcomeForm.OTHER) or not folds:
        return None
    labels = np.concatenate([np.asarray(fold.labels, dtype=np.float64) for fold in folds])
    labelled = np.concatenate([np.asarray(fold.labelled, dtype=np.bool_) for fold in folds])
    if not labelled.any():
        return None
    horizon = horizon_of(evidence)
    if task.form is OutcomeForm.TIME_TO_EVENT and horizon is None:
        return None
    prediction = _joined([fold.prediction for fold in folds], horizon)
    asked = () if horizon is None else (horizon,)
    figures = task_figures(task, prediction, labels, labelled, asked, THRESHOLDS)
    return _over_hospitals(task, folds, horizon, _without_discrimination(figures))


def horizon_of(evidence: TaskEvidence) -> float | None:
    """Return the tick of the time axis next to the median time of an event; None without a time."""
    if evidence.task.form is not OutcomeForm.TIME_TO_EVENT:
        return None
    axis = time_axis(evidence)
    labels = np.concatenate([np.asarray(fold.labels) for fold in evidence.folds])
    labelled = np.concatenate([np.asarray(fold.labelled) for fold in evidence.folds])
    time, seen = survival_labels(labels, labelled)
    if axis is None or not seen.any():
        return None
    ticks = axis.ticks[1:]
    return float(ticks[np.argmin(abs(ticks - np.median(time[seen]) * axis.per))] / axis.per)


def _joined(predictions: Sequence[Prediction], horizon: float | None) -> Prediction:
    """Join the predictions of folds, whose curves have times of their own."""
    if horizon is None:
        return concatenate(predictions)
    times = np.linspace(horizon / _POINTS, horizon, _POINTS)
    curves = [curve for curve in predictions if isinstance(curve, SurvivalPrediction)]
    return concatenate([SurvivalPrediction(curve.risk, times, curve.at(times)) for curve in curves])


def _without_discrimination(figures: TaskFigures) -> TaskFigures:
    """Leave out the figure that ranks patients of different folds, which have different models."""
    empty = type(figures.outcomes[0].discrimination)()
    outcomes = [outcome.model_copy(update={"discrimination": empty}) for outcome in figures.outcomes]
    return figures.model_copy(update={"outcomes": tuple(outcomes)})


def _over_hospitals(
    task: Task, folds: Sequence[HeldOutPatients], horizon: float | None, figures: TaskFigures
) -> SimulatedValidation:
    """Pool concordance within folds, and observed to expected risk, over hospitals."""
    if len(figures.outcomes) != 1:
        return SimulatedValidation(figures=figures)
    hospitals = sorted({name for fold in folds for name in fold.hospitals} - {""})
    concordances, ratios, values = [], [], {}
    for name in hospitals:
        cases = [_case(task, fold, np.array(fold.hospitals) == name, horizon) for fold in folds]
        cases = [case for case in cases if len(case[2])]
        events = sum(int(outcomes.event.sum()) for outcomes, _, _ in cases)
        patients = sum(len(risk) for _, risk, _ in cases)
        if min(events, patients - events) < FLOOR:
            continue
        ranked = [_concordance(task, outcomes, order) for outcomes, _, order in cases]
        mean = float(np.nanmean(ranked)) if np.isfinite(ranked).any() else math.nan
        error = concordance_error(mean, events, patients - events)
        if math.isfinite(error):
            concordances.append((mean, error))
        whole = Outcomes(
            np.concatenate([outcomes.time for outcomes, _, _ in cases]),
            np.concatenate([outcomes.event for outcomes, _, _ in cases]),
            cases[0][0].horizon,
        )
        observed, expected = (
            observed_risk(whole),
            float(np.concatenate([risk for _, risk, _ in cases]).mean()),
        )
        value = by_kaplan_meier(observed, expected).value
        if value is not None:
            values[name] = value
            if value > 0 and observed.error > 0:
                ratios.append((value, observed.error / observed.risk))
    return SimulatedValidation(
        figures=figures,
        concordance=pool(concordances, Scale.LOGIT),
        ratio=pool(ratios, Scale.LOG),
        ratios=values,
    )


def _case(
    task: Task, fold: HeldOutPatients, chosen: np.typing.NDArray[np.bool_], horizon: float | None
) -> tuple[Outcomes, Array, Array]:
    """Return outcomes, risk by the horizon and order of risk of a hospital's patients in a fold."""
    labelled = np.asarray(fold.labelled, dtype=np.bool_)
    rows = np.flatnonzero(chosen & labelled.all(axis=1))
    here, labels = fold.prediction.select(rows), np.asarray(fold.labels, dtype=np.float64)[rows]
    if isinstance(here, SurvivalPrediction):
        assert horizon is not None
        time, event = survival_labels(labels, labelled[rows])
        return Outcomes(time, event, horizon), 1 - here.at([horizon])[:, 0], here.risk
    probability: Array = here.probability  # type: ignore[attr-defined]
    risk = probability[:, -1]
    has = labels[:, 0] == 1
    return Outcomes.without_time(has), risk, risk


def _concordance(task: Task, outcomes: Outcomes, order: Array) -> float:
    if task.form is OutcomeForm.TIME_TO_EVENT:
        return c_index(outcomes.time, outcomes.event, order)
    return mean_auroc([(outcomes.event, order)])
