"""Drawings are well-formed SVG that loads nothing."""

from xml.etree import ElementTree

from common.validation.calibration import CurvePoint
from common.validation.drawings import calibration_svg, net_benefit_svg
from common.validation.estimate import IntervalEstimate
from common.validation.net_benefit import NetBenefit


def test_a_calibration_stays_within_its_field() -> None:
    points = [CurvePoint(predicted=p / 10, observed=p / 9, low=p / 20, high=p / 5) for p in range(1, 6)]
    drawing = ElementTree.fromstring(calibration_svg(points, "<event> & more"))
    assert drawing.attrib["role"] == "img"
    assert any("<event> & more" in (text.text or "") for text in drawing.iter("text"))
    for path in drawing.iter("path"):
        numbers = [
            float(part) for part in path.attrib["d"].replace("M", "").replace("L", "").strip("Z").split()
        ]
        assert all(0 <= x <= 340 for x in numbers[::2])
        assert all(0 <= y <= 288 for y in numbers[1::2])


def test_the_net_benefit_of_the_model_stands_beside_both_others() -> None:
    estimate = IntervalEstimate.of(0.1, 0.05, 0.15)
    decisions = [
        NetBenefit(threshold=t, treated=0.5, model=estimate, everyone=0.2 - t, above_everyone=estimate)
        for t in (0.05, 0.1, 0.2)
    ]
    few = NetBenefit(threshold=0.3, treated=None, everyone=None)
    drawing = ElementTree.fromstring(net_benefit_svg([*decisions, few], "Decisions"))
    words = {text.text for text in drawing.iter("text")}
    assert {"model", "treat all", "treat none"} <= words
    assert len(list(drawing.iter("circle"))) == 3
    nothing = net_benefit_svg([few], "Decisions")
    assert not list(ElementTree.fromstring(nothing).iter("circle"))
