"""Table of a task's validation, an outcome a column."""

from collections.abc import Callable

from simulations.report.outcomes.evidence import TaskEvidence
from simulations.report.outcomes.validation import validation_of
from simulations.report.page import render
from simulations.report.plots.drawing import NoEvidence
from simulations.report.words.validation import validation_table
from simulations.results.schema import SimulationResult
from tests.simulations.report.outcomes.test_validation import SURVIVAL, survival_fold

MakeResult = Callable[..., SimulationResult]


def test_a_result_with_a_validation_shows_it_and_an_earlier_one_does_not(make_result: MakeResult) -> None:
    result = make_result()
    task = next(iter(result.tasks))
    assert validation_table(result, task) is None
    validation = validation_of(TaskEvidence(SURVIVAL, [survival_fold(300, 1, 90.0)]))
    assert validation is not None
    judged = result.model_copy(update={"validation": {task: validation}})
    table = validation_table(judged, task)
    assert table is not None
    rows = {row[0] for row in table.rows}
    assert {
        "Observed / expected",
        "Observed / expected, while followed",
        "Brier score of the null model",
    } <= rows
    assert any("expected at another hospital" in name for name in rows)
    page = render(judged, NoEvidence())
    assert page.count("Net benefit") > render(result, NoEvidence()).count("Net benefit")
    assert SimulationResult.model_validate_json(judged.model_dump_json()) == judged
