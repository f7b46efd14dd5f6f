import pytest

from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.histogram import ChartRange, histogram
from tests.common.pages.test_document import Tree

AXES = ChartAxis("Months"), ChartAxis("Patients")


def test_a_histogram_reaches_over_its_ranges_and_marks() -> None:
    drawn = histogram(
        "Follow-up", "f", [0, 1, 2], [4, 8], *AXES,
        ranges=[ChartRange(0, 60, "plausible")], marks=[AxisMark(90, "elsewhere")],
    )  # fmt: skip
    bars = [rect for rect in Tree(drawn.svg).every("rect") if rect["fill-opacity"] == "1"]
    heights = [float(bar["height"] or 0) for bar in bars]
    assert abs(heights[1] - 2 * heights[0]) < 0.2
    assert float(bars[1]["x"] or 0) < 70  # a small part of the axis
    assert "plausible" in drawn.svg
    assert "elsewhere" in drawn.svg


def test_counts_without_their_edges_are_refused() -> None:
    with pytest.raises(ValueError):
        histogram("F", "f", [0, 1], [4, 8], *AXES)
