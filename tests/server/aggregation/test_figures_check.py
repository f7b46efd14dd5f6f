"""Figures that no patients can have are refused; rounded ones and unknown ones pass."""

import math

import pytest

from common.families.family import Score
from server.aggregation.figures_check import check_figures
from server.aggregation.replies import UnusableReplyError
from server.records.dropped import DropReason

OS = Score("os", lambda least: least, lambda patients: patients * (patients - 1) // 2)
HONEST = {
    "validation_loss": 6.0,
    "validation_patients": 9.0,
    "training_loss": 0.4,
    "concordant:os": 20.5,
    "comparable:os": 30.0,
}


def check(changes: dict[str, float], most: int = 100) -> None:
    check_figures(HONEST | changes, (OS,), most)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"validation_loss": math.nan},
        {"training_loss": -3.0},
        {"concordant:os": 30.0},
        {"comparable:os": 0.0, "concordant:os": 0.0},
        {"validation_loss": 0.0},
        {"validation_patients": 100.0},
    ],
)
def test_possible_figures_pass(changes: dict[str, float]) -> None:
    check(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"validation_loss": -64.1},
        {"validation_loss": 1e15},
        {"validation_patients": -1.0},
        {"validation_patients": 9.5},
        {"validation_patients": 1e15},
        {"validation_patients": math.nan},
        {"training_loss": 1e300},
        {"concordant:os": 64.1},
        {"concordant:os": -1.0},
        {"comparable:os": 1e300, "concordant:os": 1e300},
        {"comparable:os": 400.0},
    ],
)
def test_impossible_figures_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UnusableReplyError) as refused:
        check(changes)
    assert refused.value.reason is DropReason.FIGURES_IMPLAUSIBLE


def test_a_hospital_has_no_more_patients_than_it_can_have() -> None:
    check({}, most=9)
    with pytest.raises(UnusableReplyError):
        check({"validation_patients": 60.0}, most=9)


def test_names_that_nothing_asked_for_are_refused() -> None:
    with pytest.raises(UnusableReplyError) as refused:
        check({"concordant:other": 1.0})
    assert refused.value.reason is DropReason.METRICS_UNKNOWN
