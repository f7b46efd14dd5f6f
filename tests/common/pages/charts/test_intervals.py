from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.intervals import IntervalPoint, IntervalRow, interval_chart
from tests.common.pages.test_document import Tree


def test_points_have_intervals_words_and_a_legend() -> None:
    rows = [
        IntervalRow("A <b>", [IntervalPoint(0, 0.6, 0.5, 0.7, "0.60"), IntervalPoint(1, 0.65, words="0.65")]),
        IntervalRow("B", [IntervalPoint(0, None, words="too few events")]),
    ]
    drawn = interval_chart(
        "C-index",
        "f",
        rows,
        ChartAxis("C-index"),
        series=["Own", "Federated"],
        marks=[AxisMark(0.5, "chance")],
    )
    tree = Tree(drawn.svg)
    assert len(tree.every("circle")) == 2  # one in the legend
    assert [line["stroke"] for line in tree.every("line") if line["stroke-width"] == "2"] == ["var(--tone-1)"]
    assert all(words in drawn.svg for words in ("too few events", "Federated", "chance", "0.65"))
    assert not tree.every("b")
