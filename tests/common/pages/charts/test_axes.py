import math

import pytest

from common.pages.charts.axes import ChartAxis, number_text, round_values, scaled


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.61, 0.68), (-3e-5, 2e-5), (0, 123456), (0.5, 0.5001)])
def test_labels_are_few_and_within_the_limits(low: float, high: float) -> None:
    values = round_values(low, high)
    assert 2 <= len(values) <= 6
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)


def test_values_have_their_positions_and_none_leaves_the_field() -> None:
    scale = scaled(ChartAxis("x", 0, 10), [3], 100, 200)
    assert [scale.at(value) for value in (0, 5, 10, 40, -2)] == [100, 150, 200, 200, 100]


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    scale = scaled(ChartAxis("x", log=True), [0.001, 1], 0, 90)
    assert scale.at(0.01) == pytest.approx(30)
    assert [words for _, words in scale.ticks()] == ["0.001", "0.01", "0.1", "1"]
    assert len(scaled(ChartAxis("x", log=True), [2, 7], 0, 1).ticks()) >= 2


@pytest.mark.parametrize("values", [[], [3.0], [math.nan, math.inf], [0.0, 0.0]])
def test_an_axis_over_nothing_or_one_value_has_labels(values: list[float]) -> None:
    for log in (False, True):
        scale = scaled(ChartAxis("x", log=log), values, 0, 100)
        assert scale.high > scale.low
        assert all(math.isfinite(scale.at(value)) for value, _ in scale.ticks())


def test_numbers_are_short() -> None:
    assert [number_text(value) for value in (0.1 + 0.2, 12345.0, -2.0)] == [
        "0.3",
        "12,345",
        "\N{MINUS SIGN}2",
    ]
    assert number_text(0.125, percent=True) == "12.5%"
