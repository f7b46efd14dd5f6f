"""Accuracy over the patients who are left when those with unusual tables are not predicted."""

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import Task
from common.validation.brier import brier_scores
from common.validation.observed import Outcomes, censoring_weights
from simulations.results.spoiling import CoveragePoint

Array = NDArray[np.float64]

SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the patients who are predicted."""


def risk_coverage(
    task: Task,
    prediction: Prediction,
    labels: Array,
    labelled: NDArray[np.bool_],
    risk: Array,
    horizon: float,
    distance: Array,
) -> list[CoveragePoint]:
    """Leave out ever more patients, the most unusual first.

    Args:
        task: a time to an event.
        prediction: for all patients.
        labels: [P, 2] time and event.
        labelled: [P, 2] labelled.
        risk: [P] by the horizon.
        horizon: in the task's unit.
        distance: [P] from ordinary tables.
    """
    order = np.argsort(distance, kind="stable")
    points = []
    for share in SHARES:
        rows = np.sort(order[: max(1, round(share * len(order)))])
        concordance = float(task.headline(prediction.select(rows), labels[rows], labelled[rows]))
        points.append(
            CoveragePoint(
                share=share,
                patients=len(rows),
                brier=brier_of(labels, risk, horizon, rows),
                concordance=concordance if np.isfinite(concordance) else None,
            )
        )
    return points


def brier_of(labels: Array, risk: Array, horizon: float, rows: NDArray[np.intp]) -> float | None:
    """Brier score over some patients, with weights for censoring that all patients give.

    Weights are divided by their sum over these patients: few patients with large ones would otherwise rule the score.
    """
    outcomes = Outcomes(labels[:, 0], labels[:, 1] > 0, horizon)
    if not np.isfinite(brier_scores(outcomes, risk)[0]):
        return None
    weights = censoring_weights(outcomes)[rows]
    if not weights.any():
        return None
    return float(np.average(((outcomes.had - risk) ** 2)[rows], weights=weights))
