import pytest

from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.lines import ChartLine, line_chart
from tests.common.pages.test_document import Tree

ACROSS, UP = ChartAxis("Round"), ChartAxis("Loss")


def test_lines_differ_in_colour_dashes_and_legend() -> None:
    lines = [ChartLine(name, [(1, 3), (2, 2 + place)]) for place, name in enumerate(("Own", "<b>"))]
    tree = Tree(line_chart("Losses", "Falls from 3 to 2.", lines, ACROSS, UP).svg)
    paths = tree.every("path")
    assert (
        len({path["stroke"] for path in paths}) == len({path.get("stroke-dasharray") for path in paths}) == 2
    )
    assert "Falls from 3 to 2." in (tree.every("svg")[0]["aria-label"] or "")
    assert not tree.every("b")


def test_bands_steps_and_marks_are_drawn() -> None:
    points = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]
    band = [(y - 0.1, y + 0.1) for _, y in points]
    line = ChartLine("Own", points, band, stepped=True, marked=True)
    drawn = line_chart(
        "Losses", "Falls.", [line], ACROSS, UP, marks=[AxisMark(2, "kept")], levels=[AxisMark(1, "chance")],
        diagonal="ideal",
    )  # fmt: skip
    tree = Tree(drawn.svg)
    filled, curve = tree.every("path")
    assert filled["fill-opacity"]
    assert (curve["d"] or "").count("L") == 4
    assert len(tree.every("circle")) == 4
    assert "kept" in drawn.svg
    assert "chance" in drawn.svg
    assert "ideal" in drawn.svg


def test_a_single_point_is_a_mark() -> None:
    assert len(Tree(line_chart("L", "f", [ChartLine("", [(1, 1)])], ACROSS, UP).svg).every("circle")) == 1


def test_a_band_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError):
        line_chart("L", "f", [ChartLine("Own", [(1, 1), (2, 2)], [(0, 1)])], ACROSS, UP)
