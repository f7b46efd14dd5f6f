"""Strategies of the coordinator stay within the step that hospitals expect of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.agreement.strategy_names import UNKNOWN_STRATEGY, largest_step
from server.aggregation.strategies import FedAdam, FedYogi


class Round:
    """One hospital's change of one weight, as a strategy sees it."""

    def __init__(self, number: int, sent: dict[str, Any], change: float) -> None:
        self.number, self.sent, self._change = number, sent, change

    def mean(self) -> dict[str, Any]:
        return {"w": self.sent["w"] + self._change}

    def contributors(self) -> dict[str, int]:
        return {"w": 1}


CHANGES: dict[str, Callable[[int], float]] = {
    "even": lambda t: 1.0,
    "growing": lambda t: 1.1**t,
    "falling": lambda t: 0.9**t,
    "one large, then small": lambda t: 1e6 if t == 1 else 1.0,
    "one late": lambda t: 1.0 if t == 40 else 1e-9,
    "waves": lambda t: float(np.sin(t)),
}


@pytest.mark.parametrize("strategy", [FedAdam, FedYogi])
@pytest.mark.parametrize("case", CHANGES)
def test_no_changes_move_a_weight_beyond_the_strategys_step(strategy: Any, case: str) -> None:
    rule, weights = strategy(0.01), {"w": np.zeros(1)}
    bound = largest_step(strategy.__name__.lower(), 0.01, 1.0)
    for number in range(1, 80):
        after = rule.next_weights(Round(number, weights, CHANGES[case](number)))
        assert abs(float(after["w"][0] - weights["w"][0])) <= bound
        weights = {"w": np.zeros(1)}


def test_averages_go_no_further_than_a_hospital_and_a_plug_in_ten_times_as_far() -> None:
    assert largest_step("fedavg", 0.01, 0.5) == largest_step("fedprox", 0.01, 0.5) == 0.5
    assert largest_step("of_a_plug_in", 0.01, 0.5) == UNKNOWN_STRATEGY * 0.5
