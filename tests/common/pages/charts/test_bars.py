from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.bars import ChartBar, bar_chart
from tests.common.pages.test_document import Tree


def test_bars_are_as_long_as_their_values_from_the_base() -> None:
    bars = [ChartBar("A", 0.6, "0.600"), ChartBar("B", 0.7, "0.700"), ChartBar("C", None, "too few")]
    drawn = bar_chart(
        "AUROC", "B has most.", bars, ChartAxis("AUROC"), base=0.5, marks=[AxisMark(0.65, "aim")]
    )
    widths = [float(bar["width"] or 0) for bar in Tree(drawn.svg).every("rect")]
    assert abs(widths[1] - 2 * widths[0]) < 0.2
    assert widths[2] == 0
    assert "too few" in drawn.svg


def test_bars_from_zero_begin_at_zero() -> None:
    drawn = bar_chart("n", "f", [ChartBar("A", 10, "10"), ChartBar("B", 20, "20")], ChartAxis("Patients"))
    first, second = (float(bar["width"] or 0) for bar in Tree(drawn.svg).every("rect"))
    assert abs(second - 2 * first) < 0.2
