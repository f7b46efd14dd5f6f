import numpy as np
import pytest

from common.calibration.calibrating import calibrated
from common.evaluation.predictions import ClassPrediction, SurvivalPrediction
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from tests.common.calibration.made_up import GRADE, SURVIVAL, made_up


def row(level: float) -> LevelRow:
    return LevelRow(level=level, error=0.1, patients=100, observed=40.0, before=30.0, after=40.0)


def table(**outcomes: OutcomeCalibration) -> CalibrationTable:
    return CalibrationTable(tasks={"survival": outcomes})


CALIBRATED = OutcomeCalibration(events=40, pooled=row(0.5), hospitals={"here": row(1.0)})


def test_a_hospital_has_its_own_level_and_a_stranger_the_pooled_one() -> None:
    prediction = made_up(10, 0.0, 0).prediction
    hazard = np.log(prediction.survival)
    for hospital, level in (("here", 1.0), ("elsewhere", 0.5), (None, 0.5)):
        moved = calibrated(prediction, SURVIVAL, table(event=CALIBRATED), hospital)
        assert isinstance(moved, SurvivalPrediction)
        assert np.log(moved.survival) == pytest.approx(np.exp(level) * hazard)


def test_errors_are_added_to_the_level() -> None:
    prediction = made_up(10, 0.0, 0).prediction
    moved = calibrated(prediction, SURVIVAL, table(event=CALIBRATED), "here", 2.0)
    assert isinstance(moved, SurvivalPrediction)
    assert np.log(moved.survival) == pytest.approx(np.exp(1.2) * np.log(prediction.survival))


def test_nothing_moves_without_a_table_or_with_too_few_events() -> None:
    prediction = made_up(10, 0.0, 0).prediction
    few = OutcomeCalibration(events=11)
    for made in (None, CalibrationTable(tasks={}), table(event=few)):
        assert calibrated(prediction, SURVIVAL, made, "here") is prediction


def test_three_classes_are_scaled_to_a_sum_of_one() -> None:
    levels = {
        name: OutcomeCalibration(events=40, pooled=row(level))
        for name, level in zip(GRADE.classes, (0.0, 0.0, np.log(2)), strict=True)
    }
    made = CalibrationTable(tasks={"grade": levels})
    moved = calibrated(ClassPrediction(np.full((1, 3), 1 / 3)), GRADE, made, None)
    assert isinstance(moved, ClassPrediction)
    assert moved.probability[0] == pytest.approx([0.25, 0.25, 0.5])


def test_a_slope_of_the_table_draws_patients_together() -> None:
    prediction = made_up(10, 0.0, 0).prediction
    drawn = CALIBRATED.model_copy(update={"slope": 0.6})
    moved = calibrated(prediction, SURVIVAL, table(event=drawn), "here")
    assert isinstance(moved, SurvivalPrediction)
    spread = [np.log(-np.log(curves[:, -1])).std() for curves in (prediction.survival, moved.survival)]
    assert spread[1] == pytest.approx(0.6 * spread[0])
