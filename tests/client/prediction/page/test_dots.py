import pytest

from client.prediction.page.dots import hundred


@pytest.mark.parametrize("share", [0.0, 0.004, 0.23, 1.0])
def test_every_dot_is_full_or_a_ring(share: float) -> None:
    drawing = hundred(share)
    full, rings = drawing.full.count("M"), drawing.rings.count("M")
    assert full == drawing.filled == round(100 * share)
    assert full + rings == 100
    assert drawing.points == ""


def test_dots_between_the_ends_of_the_interval_have_points() -> None:
    drawing = hundred(0.23, interval=(0.15, 0.34))
    assert drawing.possible == drawing.points.count("M") == 11
    assert drawing.uncertain == drawing.holes.count("M") == 8
    assert drawing.rings.count("M") == 77
