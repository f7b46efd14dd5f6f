"""Everything that a fit gives is possible, and numbers that are merely finite are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.calibration.fitting import fitted
from common.calibration.possible import impossible_outcomes
from common.calibration.shapes import sums_of
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.tasks.task import Task
from tests.common.assessment.test_poisoned_sums import KINDS, poisoned
from tests.common.calibration.made_up import GRADE, RESPONSE, SCORE, SURVIVAL, TOXICITY

ROW = LevelRow(level=0.1, error=0.1, patients=50, observed=6.0, before=5.0, after=6.0)
MADE = OutcomeCalibration(events=40, slope=1.0, deviation=0.2, pooled=ROW, hospitals={"one": ROW})


def impossible(task: Task, outcome: str, made: OutcomeCalibration) -> list[str]:
    return list(impossible_outcomes([task], CalibrationTable(tasks={task.name: {outcome: made}})))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), hospitals=st.integers(1, 5))
def test_whatever_hospitals_send_the_fit_is_possible(seed: int, hospitals: int) -> None:
    draw = np.random.default_rng(seed)
    tasks = [SURVIVAL, RESPONSE, GRADE, TOXICITY, SCORE]
    sites = {}
    for hospital in range(hospitals):
        patients = int(draw.choice([5, 40, 400]))
        sites[f"h{hospital}"] = {
            f"{task.name}.{name}": poisoned(draw, limit, patients, str(draw.choice(KINDS)))
            for task in tasks
            for name, limit in sums_of(task).items()
        }
    assert list(impossible_outcomes(tasks, fitted(tasks, sites))) == []


@pytest.mark.parametrize(("task", "outcome"), [(SURVIVAL, "event"), (RESPONSE, "yes"), (SCORE, "number")])
@pytest.mark.parametrize(
    "changes",
    [
        {"level": 1e308},
        {"level": -50.0},
        {"error": 1e308},
        {"patients": 10**30},
        {"observed": 1e308},
        {"before": -1e308},
        {"after": 1e308},
    ],
)
def test_a_row_beyond_what_patients_give_is_impossible(
    task: Task, outcome: str, changes: dict[str, float]
) -> None:
    absurd = ROW.model_copy(update=changes)
    assert impossible(task, outcome, MADE) == []
    assert impossible(task, outcome, MADE.model_copy(update={"pooled": absurd})) == [outcome]
    assert impossible(task, outcome, MADE.model_copy(update={"hospitals": {"one": absurd}})) == [outcome]


@pytest.mark.parametrize(
    "changes", [{"slope": 1e300}, {"slope": 1e-300}, {"deviation": 1e308}, {"events": 10**30}]
)
def test_a_slope_or_a_spread_that_is_never_fitted_is_impossible(changes: dict[str, float]) -> None:
    assert impossible(SURVIVAL, "event", MADE.model_copy(update=changes)) == ["event"]


def test_only_a_time_has_a_slope() -> None:
    steep = MADE.model_copy(update={"slope": 0.8})
    assert impossible(SURVIVAL, "event", steep) == []
    assert impossible(RESPONSE, "yes", steep) == ["yes"]
