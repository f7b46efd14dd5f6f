"""Spread of a figure over hospitals."""

import pytest

from simulations.results.spread import spread_over


def test_worst_best_and_deviation_are_over_hospitals_with_a_figure() -> None:
    spread = spread_over({"north": 0.7, "south": 0.5, "east": None, "west": 0.6})
    assert spread is not None
    assert (spread.hospitals, spread.worst, spread.best) == (3, "south", "north")
    assert (spread.lowest, spread.highest) == (0.5, 0.7)
    assert spread.sd == pytest.approx(0.1)


@pytest.mark.parametrize("figures", [{}, {"north": 0.7}, {"north": 0.7, "south": None}])
def test_fewer_than_two_hospitals_have_no_spread(figures: dict[str, float | None]) -> None:
    assert spread_over(figures) is None
