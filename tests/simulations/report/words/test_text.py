"""Sentences on scores that mean something only beside a null model."""

from collections.abc import Callable

import pytest

from simulations.report.words.text import beside_null
from simulations.results.schema import SimulationResult, summarise

MakeResult = Callable[..., SimulationResult]


def with_brier(make_result: MakeResult, federated: float, null: float | None) -> SimulationResult:
    result = make_result(tasks=("overall_survival",))
    arms = dict(result.tasks["overall_survival"])
    arms["federated"] = {**arms["federated"], "integrated_brier": summarise([federated])}
    if null is not None:
        arms["null"] = {"integrated_brier": summarise([null])}
    return result.model_copy(update={"tasks": {"overall_survival": arms}})


@pytest.mark.parametrize(("federated", "worse"), [(0.15, False), (0.25, True)])
def test_a_brier_score_stands_beside_that_of_the_null_model(
    make_result: MakeResult, federated: float, worse: bool
) -> None:
    (told,) = beside_null(with_brier(make_result, federated, 0.2), "overall_survival")
    assert told.code == "null"
    assert f"{federated:.3f}" in told.text
    assert "0.200" in told.text
    assert ("no closer" in told.text) == worse


def test_without_a_null_model_nothing_is_compared(make_result: MakeResult) -> None:
    assert list(beside_null(with_brier(make_result, 0.15, None), "overall_survival")) == []
