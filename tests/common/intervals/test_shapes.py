import pytest

from common.intervals.shapes import PARTS, STEPS, censoring_sums, outcomes_of, step_sums
from common.tasks.task import Task
from tests.common.calibration.made_up import GRADE, SCORE, SURVIVAL, TOXICITY


@pytest.mark.parametrize(
    ("task", "outcomes"),
    [(SURVIVAL, ("event",)), (GRADE, ("class",)), (TOXICITY, ("nausea", "rash")), (SCORE, ("number",))],
)
def test_outcomes_and_sums_of_every_form(task: Task, outcomes: tuple[str, ...]) -> None:
    assert outcomes_of(task) == outcomes
    assert step_sums(task)["steps"].shape == (len(outcomes), STEPS)
    assert bool(censoring_sums(task)) == (task is SURVIVAL)


def test_censoring_is_counted_in_parts_of_the_hazard_intervals() -> None:
    assert censoring_sums(SURVIVAL)["censored"].shape == (PARTS * SURVIVAL.bins,)
