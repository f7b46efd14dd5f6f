"""Survival curve as SVG paths and labels; it needs no library for drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 300, 200
"""Size of the drawing, so that its text has its own size at the width of a phone."""

LEFT, RIGHT, TOP, BOTTOM = 40, 290, 8, 165
"""Edges of the field in which the curve is."""

MOST_LABELS = 6
"""Labels on the axis of time, beside that of 0."""

_MONTHS = (1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 36.0, 60.0, 120.0, 240.0)
"""Distances of labels on an axis of months, as far as they reach."""


@dataclass(frozen=True)
class Label:
    """Label on an axis.

    Attributes:
        at: place along the axis, in units of the drawing.
        text: the label.
    """

    at: float
    text: str


@dataclass(frozen=True)
class CurveDrawing:
    """Drawing of a survival curve.

    Attributes:
        line: path of the curve.
        similar: path of the curve of similar patients; empty without one.
        bounds: places of lower bounds of the time.
        times: labels of time.
        shares: labels of the share without the event.
        width: of the drawing.
        height: of the drawing.
        left: edge of the field.
        right: edge of the field.
        top: edge of the field.
        bottom: edge of the field.
    """

    line: str
    similar: str
    bounds: tuple[Label, ...]
    times: tuple[Label, ...]
    shares: tuple[Label, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def drawn(
    unit: str,
    times: Sequence[float],
    survival: Sequence[float],
    similar: tuple[Sequence[float], Sequence[float]] | None = None,
    bounds: Sequence[tuple[float, str]] = (),
) -> CurveDrawing:
    """Draw a survival curve from the beginning to the last time.

    Args:
        unit: of time.
        times: ends of intervals; survival is linear within them.
        survival: share without the event at these times.
        similar: times and observed shares of similar patients.
        bounds: lower bounds of the time, each with its label.
    """
    end = times[-1]
    ends = zip(times, survival, strict=True)
    line = _path([(_across(0, end), _down(1)), *((_across(time, end), _down(share)) for time, share in ends)])
    return CurveDrawing(
        line=line,
        similar="" if similar is None else _observed(*similar, end),
        bounds=tuple(Label(_across(time, end), text) for time, text in bounds if 0 < time <= end),
        times=tuple(Label(_across(time, end), f"{time:g}") for time in _round_times(end, unit)),
        shares=tuple(Label(_down(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
    )


def _observed(times: Sequence[float], survival: Sequence[float], end: float) -> str:
    """Join observed shares by lines, as events were counted in intervals."""
    points = [(0.0, 1.0), *zip(times, survival, strict=True)]
    within = [point for point in points if point[0] <= end]
    if len(within) < len(points):
        (left, before), (right, after) = within[-1], points[len(within)]
        within.append((end, before + (after - before) * (end - left) / (right - left)))
    return _path([(_across(time, end), _down(share)) for time, share in within])


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in points)


def _across(time: float, end: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * min(max(time / end, 0), 1), 1)


def _down(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * min(max(share, 0), 1), 1)


def _round_times(end: float, unit: str) -> list[float]:
    """Choose times for the axis, from 0 on: round numbers, and years where the unit is months."""
    power = 10.0 ** math.floor(math.log10(end / MOST_LABELS))
    steps = [power * size for size in (1, 2, 3, 5, 10)]
    if unit == "months" and _MONTHS[0] <= end / MOST_LABELS <= _MONTHS[-1]:
        steps = list(_MONTHS)
    step = next(step for step in steps if end / step <= MOST_LABELS)
    return [round(step * number, 10) for number in range(math.floor(end / step) + 1)]
