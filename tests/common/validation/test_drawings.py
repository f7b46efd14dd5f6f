"""Charts are well-formed, within their fields, and tell their findings."""

from xml.etree import ElementTree

from common.validation.calibration import CurvePoint
from common.validation.drawings import calibration_chart, net_benefit_chart
from common.validation.estimate import IntervalEstimate
from common.validation.net_benefit import NetBenefit


def test_a_calibration_stays_within_its_field() -> None:
    points = [CurvePoint(predicted=p / 10, observed=p / 9, low=p / 20, high=p / 5) for p in range(1, 6)]
    drawing = ElementTree.fromstring(calibration_chart(points, "<event> & more").svg)
    assert drawing.attrib["role"] == "img"
    assert "at 50.0%, where it is 55.6% (25.0% to 100.0%)" in drawing.attrib["aria-label"]
    assert any("<event> & more" in (text.text or "") for text in drawing.iter("text"))
    width, height = (float(size) for size in drawing.attrib["viewBox"].split()[2:])
    for path in drawing.iter("path"):
        numbers = [
            float(part) for part in path.attrib["d"].replace("M", "").replace("L", " ").strip("Z").split()
        ]
        assert all(0 <= x <= width for x in numbers[::2])
        assert all(0 <= y <= height for y in numbers[1::2])


def test_the_net_benefit_of_the_model_stands_beside_both_others() -> None:
    estimate = IntervalEstimate.of(0.1, 0.05, 0.15)
    decisions = [
        NetBenefit(threshold=t, treated=0.5, model=estimate, everyone=0.2 - t, above_everyone=estimate)
        for t in (0.05, 0.1, 0.2)
    ]
    few = NetBenefit(threshold=0.3, treated=None, everyone=None)
    drawing = ElementTree.fromstring(net_benefit_chart([*decisions, few], "the event").svg)
    words = {text.text for text in drawing.iter("text")}
    assert {"Model", "Treat all", "Treat none"} <= words
    assert len(list(drawing.iter("circle"))) == 4  # one in the legend
    assert "at 1 of 3 thresholds, from 0.2 to 0.2" in drawing.attrib["aria-label"]
    nothing = net_benefit_chart([few], "the event")
    assert not list(ElementTree.fromstring(nothing.svg).iter("circle"))
