"""Predictions as a table of calibration moves them at a hospital."""

import numpy as np

from common.calibration.outcome_sums import moved_classes, moved_labels, moved_numbers
from common.calibration.shapes import outcomes_of
from common.calibration.survival_sums import recalibrated
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.release.calibration_table import EVENT, NUMBER, CalibrationTable
from common.tasks.task import Task


def calibrated(
    prediction: Prediction,
    task: Task,
    table: CalibrationTable | None,
    hospital: str | None,
    errors: float = 0.0,
) -> Prediction:
    """Move a prediction by the level of a hospital; as it is where nothing is calibrated.

    Args:
        prediction: of the task.
        task: of the model.
        table: of the release; None if it has none.
        hospital: whose level is taken; a stranger's is the pooled one.
        errors: standard errors of the level that are added to it.
    """
    made = {} if table is None else table.tasks.get(task.name, {})
    rows = [made[outcome].at(hospital) if outcome in made else None for outcome in outcomes_of(task)]
    levels = np.array([0.0 if row is None else row.level + errors * row.error for row in rows])
    if all(row is None for row in rows):
        return prediction
    if isinstance(prediction, SurvivalPrediction):
        return recalibrated(prediction, float(levels[0]), made[EVENT].slope)
    if isinstance(prediction, ClassPrediction):
        return moved_classes(prediction, np.append(0.0, levels) if len(levels) == 1 else levels)
    if isinstance(prediction, LabelPrediction):
        return moved_labels(prediction, levels)
    if isinstance(prediction, NumberPrediction) and NUMBER in made:
        low, high = task.moment_limits()
        return moved_numbers(prediction, float(levels[0]), float(low[0]), float(high[0]))
    return prediction
