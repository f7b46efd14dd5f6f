import pytest

from client.prediction.patients.horizons import horizons_of, require_times
from common.errors import OptionError
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask

TIME = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600)
CLASSES = ResponseTask(name="response", label="response", classes=("0", "1"))


def test_horizons_are_sorted_and_each_taken_once() -> None:
    assert horizons_of(TIME, 40.0, [24.0, 12.0, 24.0]) == (12.0, 24.0)
    assert horizons_of(CLASSES, None, [12.0]) == ()


@pytest.mark.parametrize("horizon", [0.0, -1.0, 40.1, float("nan"), float("inf")])
def test_a_horizon_outside_the_follow_up_is_refused(horizon: float) -> None:
    with pytest.raises(OptionError):
        horizons_of(TIME, 40.0, [horizon])


def test_a_horizon_is_refused_where_no_task_has_a_time() -> None:
    with pytest.raises(OptionError):
        require_times([CLASSES], [12.0])
    require_times([CLASSES], [])
    require_times([CLASSES, TIME], [12.0])
