import re

import pytest

from client.prediction.page.curve import BOTTOM, LEFT, MOST_LABELS, RIGHT, TOP, drawn


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_the_curve_goes_from_one_to_the_last_share_within_its_field() -> None:
    curve = drawn("months", (12.0, 60.0), (0.9, 0.5))
    assert points(curve.line)[0] == (LEFT, TOP)
    assert points(curve.line)[-1] == (RIGHT, (TOP + BOTTOM) / 2)
    assert curve.similar == ""
    assert curve.bounds == ()


def test_the_curve_of_similar_patients_ends_with_the_field() -> None:
    curve = drawn("days", (100.0,), (0.5,), similar=((50.0, 150.0), (0.8, 0.2)))
    assert points(curve.similar) == points(drawn("days", (50.0, 100.0), (0.8, 0.5)).line)
    assert len(points(drawn("days", (100.0,), (0.5,), similar=((50.0,), (0.8,))).similar)) == 2


def test_a_bound_beyond_the_follow_up_is_not_drawn() -> None:
    curve = drawn("days", (100.0,), (0.5,), bounds=((40.0, "90%"), (140.0, "80%")))
    assert [bound.text for bound in curve.bounds] == ["90%"]


@pytest.mark.parametrize(
    ("unit", "end"), [("months", 36.0), ("months", 196.0), ("days", 1022.0), ("years", 0.7)]
)
def test_times_are_few_and_round(unit: str, end: float) -> None:
    labels = drawn(unit, (end,), (0.5,)).times
    assert 2 <= len(labels) <= MOST_LABELS + 1
    assert labels[0].text == "0"
    if unit == "months":
        assert all(float(label.text) % 6 == 0 for label in labels)
