"""Charts of calibration and net benefit, with their findings in words."""

from collections.abc import Sequence

from common.pages.charts.axes import ChartAxis
from common.pages.charts.lines import ChartLine, line_chart
from common.pages.figure import Chart
from common.validation.calibration import CurvePoint
from common.validation.net_benefit import NetBenefit, weight_of

_STEPS = 60
"""Points of the curve of treating everybody, which is bent."""


def calibration_chart(points: Sequence[CurvePoint], event: str) -> Chart:
    """Draw the smooth observed risk with its band against the predicted one."""
    end = min(1.0, 1.05 * max(max(point.observed, point.predicted) for point in points))
    end = max(min(1.0, max(end, max(min(point.high, 2 * end) for point in points))), 0.02)
    curve = ChartLine(
        "Model, with 95% band",
        [(point.predicted, point.observed) for point in points],
        [(max(point.low, 0.0), min(point.high, end)) for point in points],
    )
    gap = max(points, key=lambda point: abs(point.observed - point.predicted))
    finding = (
        f"Between {points[0].predicted:.1%} and {points[-1].predicted:.1%} of predicted risk the observed one differs "
        f"most at {gap.predicted:.1%}, where it is {gap.observed:.1%} ({gap.low:.1%} to {gap.high:.1%})."
    )
    axes = (ChartAxis(name, 0.0, end, percent=True) for name in ("Predicted", "Observed"))
    return line_chart(f"Calibration of the risk of {event}", finding, [curve], *axes, diagonal="ideal")


def net_benefit_chart(decisions: Sequence[NetBenefit], event: str) -> Chart:
    """Draw the net benefit of the model, of treating everybody and of treating nobody."""
    shown = [decision for decision in decisions if decision.model.value is not None]
    values = [decision.model.value or 0.0 for decision in shown]
    everyone = _of_all(decisions)
    high = max([*values, *(value for _, value in everyone), 0.01]) * 1.1
    low = -0.25 * high
    end = max(decision.threshold for decision in decisions) * 1.03
    model = ChartLine(
        "Model",
        [(decision.threshold, max(decision.model.value or 0.0, low)) for decision in shown],
        _band(shown, low, high),
        marked=True,
    )
    lines = [
        model,
        ChartLine("Treat all", [(risk, value) for risk, value in everyone if value >= low]),
        ChartLine("Treat none", [(0.0, 0.0), (end, 0.0)], number=4),
    ]
    across = ChartAxis("Risk from which patients would be treated", 0.0, end, percent=True)
    up = ChartAxis("Net benefit", low, high)
    drawn = [line for line in lines if line.points]
    return line_chart(f"Decisions on {event}", _benefit(shown), drawn, across, up)


def _band(shown: Sequence[NetBenefit], low: float, high: float) -> list[tuple[float, float]]:
    """Interval at every threshold; none unless all have one."""
    ends = [(decision.model.low, decision.model.high) for decision in shown]
    band = [
        (min(max(down, low), high), min(max(up, low), high))
        for down, up in ends
        if down is not None and up is not None
    ]
    return band if len(band) == len(shown) else []


def _benefit(shown: Sequence[NetBenefit]) -> str:
    """State where the model is of more use than treating everybody and nobody."""
    better = [
        decision.threshold
        for decision in shown
        if (decision.model.value or 0.0) > max(0.0, -1.0 if decision.everyone is None else decision.everyone)
    ]
    if not shown:
        return "No threshold has enough patients on both sides for the net benefit of the model."
    if not better:
        return "At no threshold does the model have more net benefit than treating everybody or nobody."
    return (
        f"The model has more net benefit than treating everybody and nobody at {len(better)} of {len(shown)} "
        f"thresholds, from {min(better):.3g} to {max(better):.3g} of risk."
    )


def _of_all(decisions: Sequence[NetBenefit]) -> list[tuple[float, float]]:
    """Return the net benefit of treating everybody, which one risk gives at every threshold."""
    at, value = next(
        ((decision.threshold, decision.everyone) for decision in decisions if decision.everyone is not None),
        (None, None),
    )
    if at is None or value is None:
        return []
    risk = (value + weight_of(at)) / (1 + weight_of(at))
    end = decisions[-1].threshold
    thresholds = [end * step / _STEPS for step in range(_STEPS + 1)]
    return [(t, risk - (1 - risk) * weight_of(t)) for t in thresholds if t < 1]
