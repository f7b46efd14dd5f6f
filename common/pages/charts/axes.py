"""Axes of charts: limits, round labels, and positions of values."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from common.pages.charts.shapes import GREY, INK, RULE, SIZE, WIDTH, fitted, folded_lines, line, text

LEFT, RIGHT = 46.0, WIDTH - 12.0
_MOST_LABELS = 5.5
_LINE = 14.5
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class ChartAxis:
    """Axis of a chart.

    Attributes:
        label: quantity with its unit.
        low: lower limit; None for that of the values.
        high: upper limit; None for that of the values.
        percent: whether values are shares, written in percent.
        log: whether the axis is logarithmic; values must be positive then.
        labels: values with their texts, instead of round numbers.
    """

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    log: bool = False
    labels: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class AxisScale:
    """Axis with both limits, laid from one position to another."""

    axis: ChartAxis
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Position of a value; one beyond a limit has the limit's."""
        low, high, value = (self._straight(number) for number in (self.low, self.high, value))
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Values with their labels."""
        if self.axis.labels:
            return [(value, words) for value, words in self.axis.labels if self.low <= value <= self.high]
        values = _decades(self.low, self.high) if self.axis.log else round_values(self.low, self.high)
        return [(value, number_text(value, self.axis.percent)) for value in values]

    def _straight(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.axis.log else value


def scaled(axis: ChartAxis, values: Iterable[float], start: float, end: float) -> AxisScale:
    """Lay an axis over values; limits that it does not set leave a small margin."""
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not axis.log)]
    low = min(finite, default=0.1 if axis.log else 0.0) if axis.low is None else axis.low
    high = max(finite, default=1.0) if axis.high is None else axis.high
    if high <= low:
        low, high = (low / 2, high * 2) if axis.log else (low - 0.5, low + 0.5)
    elif not axis.log:
        margin = 0.05 * (high - low)
        low -= margin if axis.low is None else 0.0
        high += margin if axis.high is None else 0.0
    return AxisScale(axis, low, high, start, end)


def round_values(low: float, high: float) -> list[float]:
    """List round numbers between two limits, six at most."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_LABELS))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if (high - low) / (power * size) <= _MOST_LABELS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def number_text(value: float, percent: bool = False) -> str:
    """Write a number short, with a minus sign and groups of thousands."""
    if percent:
        return f"{100 * value:.4g}%".replace("-", _MINUS)
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", _MINUS)


def _decades(low: float, high: float) -> list[float]:
    """List powers of ten between two limits, some where they are many, with 2 and 5 between few."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(powers) < 2:
        sizes = [size * 10.0**power for power in (*powers, min(powers, default=0) - 1) for size in (1, 2, 5)]
        return sorted({size for size in sizes if low <= size <= high}) or [low, high]
    return [10.0**power for power in powers][:: math.ceil(len(powers) / 6)]


def heading(title: str) -> tuple[list[Markup], float]:
    """Write the title of a chart, and give the height below it."""
    lines = folded_lines(title, WIDTH - 8, SIZE + 1.5)
    parts = [text(0, 13 + _LINE * row, words, bold=True, size=SIZE + 0.5) for row, words in enumerate(lines)]
    return parts, 13 + _LINE * (len(lines) - 1) + 7


def draw_axes(across: AxisScale, up: AxisScale) -> tuple[list[Markup], float]:
    """Draw both axes with labels, and give the height below them."""
    foot = up.start
    parts = [text(0, up.end - 9, fitted(up.axis.label, WIDTH), colour=GREY)] if up.axis.label else []
    for value, words in up.ticks():
        parts.append(line(LEFT, up.at(value), RIGHT, up.at(value), colour=RULE, width=0.7))
        parts.append(text(LEFT - 6, up.at(value) + 4, words, "end"))
    below, height = draw_across(across, foot)
    return [*parts, *below], height


def draw_across(across: AxisScale, foot: float) -> tuple[list[Markup], float]:
    """Draw the axis at the bottom with labels, and give the height below it."""
    parts = [line(across.start, foot, across.end, foot)]
    last = -math.inf
    for value, words in across.ticks():
        at, half = across.at(value), 3.2 * len(words)
        if at - half < last + 4:
            continue
        last = at + half
        parts += [line(at, foot, at, foot + 4), text(at, foot + 16, words, "middle")]
    if not across.axis.label:
        return parts, foot + 20
    parts.append(text((across.start + across.end) / 2, foot + 32, fitted(across.axis.label, WIDTH), "middle"))
    return parts, foot + 38


@dataclass(frozen=True)
class AxisMark:
    """Value that is marked on an axis, by a line over the whole chart.

    Attributes:
        at: the value.
        words: label beside the line.
    """

    at: float
    words: str


def draw_marks(marks: Sequence[AxisMark], across: AxisScale, top: float, foot: float) -> list[Markup]:
    """Draw marks of the axis at the bottom; a label stands on the side with more room."""
    parts = []
    middle = (across.start + across.end) / 2
    for row, mark in enumerate(marks):
        at = across.at(mark.at)
        parts.append(line(at, top, at, foot, colour=INK, width=1.2, dashes="4 3"))
        anchor, aside = ("start", 4) if at <= middle else ("end", -4)
        room = (across.end - at if at <= middle else at - across.start) - 6
        parts.append(text(at + aside, top + 10 + 13 * row, fitted(mark.words, room), anchor))
    return parts


def at_zero(axis: ChartAxis) -> ChartAxis:
    """Let an axis begin at 0 where it has no lower limit."""
    return replace(axis, low=0.0) if axis.low is None else axis
