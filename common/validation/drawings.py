"""Drawings of calibration and net benefit as SVG, which need no library and load nothing.

Lines differ in dashes as well as in colour, so that they can be told apart in grey.
"""

import html
import math
from collections.abc import Sequence

from common.validation.calibration import CurvePoint
from common.validation.net_benefit import NetBenefit, weight_of

WIDTH, HEIGHT = 340, 288
"""Units of a drawing: at the width of a phone its text has about its size."""
_SHOWN = 430
"""Width in pixels where there is room."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 330, 28, 226
_INK, _GREY, _BLUE, _ORANGE = "#1a1a1a", "#5f5f5f", "#0072b2", "#b35c00"
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


class _Field:
    """Axes with round labels, and the position of a point in them."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float], percent_up: bool) -> None:
        self.across, self.up = across, up
        self.percent_up = percent_up

    def x(self, value: float) -> float:
        low, high = self.across
        return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)

    def y(self, value: float) -> float:
        low, high = self.up
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        pairs = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points]
        return "M" + " L".join(pairs)

    def axes(self, title: str, across: str, up: str) -> list[str]:
        parts = [_text(8, 14, title, "start", bold=True)]
        for value in _ticks(*self.across):
            parts.append(
                _text(self.x(value), _BOTTOM + 15, f"{value:.3g}" if value < 0 else _percent(value), "middle")
            )
            parts.append(_line(self.x(value), _BOTTOM, self.x(value), _BOTTOM + 3))
        for value in _ticks(*self.up):
            label = _percent(value) if self.percent_up else f"{value:.2g}"
            parts.append(_text(_LEFT - 6, self.y(value) + 4, label, "end"))
            parts.append(_line(_LEFT - 3, self.y(value), _LEFT, self.y(value)))
        parts.append(_line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM))
        parts.append(_line(_LEFT, _TOP, _LEFT, _BOTTOM))
        parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, across, "middle"))
        parts.append(_text(8, _TOP - 1, up, "start", colour=_GREY))
        return parts


def calibration_svg(points: Sequence[CurvePoint], event: str) -> str:
    """Draw the smooth observed risk with its band against the predicted one."""
    end = min(1.0, 1.05 * max(max(point.observed, point.predicted) for point in points))
    end = max(min(1.0, max(end, max(min(point.high, 2 * end) for point in points))), 0.02)
    field = _Field((0.0, end), (0.0, end), percent_up=True)
    upper = [(point.predicted, min(point.high, end)) for point in points]
    lower = [(point.predicted, max(point.low, 0.0)) for point in reversed(points)]
    parts = field.axes(f"Risk of {event}", "Predicted", "Observed")
    parts.append(f'<path d="{field.path([*upper, *lower])}Z" fill="{_BLUE}" fill-opacity=".15"/>')
    parts.append(_drawn(field.path([(0, 0), (end, end)]), _GREY, "4 3", 1.0))
    parts.append(_drawn(field.path([(point.predicted, point.observed) for point in points]), _BLUE))
    above = points[-1].observed < points[-1].predicted
    across, up = (0.8, 0.93) if above else (0.94, 0.76)  # on the side of the line where no curve is
    parts.append(_text(field.x(across * end), field.y(up * end), "ideal", "middle", colour=_GREY))
    return _svg(parts, f"Smooth calibration: observed against predicted risk of {event}")


def net_benefit_svg(decisions: Sequence[NetBenefit], title: str) -> str:
    """Draw the net benefit of the model, of treating everybody and of treating nobody."""
    shown = [decision for decision in decisions if decision.model.value is not None]
    values = [decision.model.value or 0.0 for decision in shown]
    everyone = _of_all(decisions)
    high = max([*values, *(value for _, value in everyone), 0.01]) * 1.1
    bottom = -0.25 * high
    field = _Field(
        (0.0, max(decision.threshold for decision in decisions) * 1.03), (bottom, high), percent_up=False
    )
    parts = field.axes(title, "Risk from which patients would be treated", "Net benefit")
    parts.append(_drawn(field.path([(0, 0), (field.across[1], 0)]), _INK, "1 3", 1.2))
    if seen := [(t, value) for t, value in everyone if value >= bottom]:
        parts.append(_drawn(field.path(seen), _ORANGE, "6 3"))
    for decision in shown:
        if decision.model.low is not None and decision.model.high is not None and len(shown) <= 10:
            x = field.x(decision.threshold)
            low, up = (min(max(value, bottom), high) for value in (decision.model.low, decision.model.high))
            parts.append(_line(x, field.y(low), x, field.y(up), _BLUE))
    curve = [(decision.threshold, max(decision.model.value or 0.0, bottom)) for decision in shown]
    if curve:
        parts.append(_drawn(field.path(curve), _BLUE))
        parts += [
            f'<circle cx="{field.x(x):.1f}" cy="{field.y(y):.1f}" r="2.5" fill="{_BLUE}"/>' for x, y in curve
        ]
    x = _LEFT - 20.0
    for name, colour, dashes in (
        ("model", _BLUE, ""),
        ("treat all", _ORANGE, "6 3"),
        ("treat none", _INK, "1 3"),
    ):
        parts.append(_drawn(f"M{x} {HEIGHT - 10} h22", colour, dashes))
        parts.append(_text(x + 27, HEIGHT - 6, name, "start"))
        x += 108
    return _svg(parts, f"{title}: net benefit of the model, of treating everybody and of treating nobody")


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
    thresholds = [end * step / 60 for step in range(61)]
    return [(t, risk - (1 - risk) * weight_of(t)) for t in thresholds if t < 1]


def _ticks(low: float, high: float) -> list[float]:
    step = next((step for step in _STEPS if (high - low) / step <= 5.5), 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 6) for number in range(first, last + 1)]


def _percent(value: float) -> str:
    return f"{100 * value:.3g}%"


def _text(x: float, y: float, words: str, anchor: str, bold: bool = False, colour: str = _INK) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{html.escape(words)}</text>'


def _line(x: float, y: float, right: float, bottom: float, colour: str = _GREY) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>'


def _drawn(path: str, colour: str, dashes: str = "", width: float = 2.0) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _svg(parts: Sequence[str], label: str) -> str:
    head = (
        f'<svg role="img" aria-label="{html.escape(label)}" width="{_SHOWN}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    )
    return f'{head} font-size="11.5" font-family="sans-serif">{"".join(parts)}</svg>'
