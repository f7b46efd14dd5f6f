"""Shares, sizes and effects in the words of a page."""

import math
import re

from common.counting import written

LARGEST_FACTOR = 100.0
"""Factor of hazard or odds beyond which the size says nothing more."""

_SIZES = ((0.5, "about average"), (1.0, "a little {}"), (2.0, "{}"), (3.0, "well {}"))
"""Standard deviations from the mean, up to which the words hold."""


def spoken(name: str) -> str:
    """Write a name from a table or a federation file so that it can break into lines."""
    return " ".join(name.replace("_", " ").split())


def answer_about(task: str, outcome: str, horizon: float | None, unit: str) -> str:
    """Name a number of a forecast: a risk by a horizon, a class or label, or the task's number."""
    if horizon is not None:
        return f"the risk ({spoken(task)}) by {written(horizon)} {spoken(unit)}"
    return f"\u201c{spoken(outcome)}\u201d ({spoken(task)})" if outcome else spoken(task)


def minus(number: str) -> str:
    """Write the sign of a negative number as a minus, not as a hyphen."""
    return re.sub(r"^-(?=[\d.])", "\u2212", number)


def in_a_hundred(share: float) -> str:
    """Write a probability as a number of 100 patients."""
    if 0 < share < 0.01:
        return "under 1 in 100"
    return "over 99 in 100" if 0.99 < share < 1 else f"{round(100 * share)} in 100"


def part_measured(share: float) -> str:
    """Write the share of a modality's columns of which there is a value."""
    if share <= 0:
        return "not measured"
    if share >= 1:
        return "all of it"
    percent = f"{min(max(round(100 * share), 1), 99)}%"
    if share >= 0.9:
        return f"nearly all ({percent})"
    return f"{percent} of it" if share >= 0.5 else f"less than half ({percent})"


def direction(deviations: float | None, clamped: bool) -> str:
    """Write in words how far a value is from the average of the patients trained on.

    Args:
        deviations: standard deviations from it; None where a value has no average.
        clamped: whether it lies beyond what the model tells apart.
    """
    if deviations is None:
        return ""
    side = "above" if deviations > 0 else "below"
    if clamped:
        return f"{side} the end of the model's scale"
    side += " average"
    words = next((words for most, words in _SIZES if abs(deviations) < most), "far {}")
    return words.format(side)


def effect(contribution: float, scale: str) -> str:
    """Write a contribution as a factor of hazard or odds, or in the number's unit."""
    if not scale.startswith("log"):
        return minus(f"{contribution:+.3g} {scale}").rstrip()
    factor = math.exp(min(max(contribution, -math.log(LARGEST_FACTOR)), math.log(LARGEST_FACTOR)))
    beyond = (
        "" if 1 / LARGEST_FACTOR < factor < LARGEST_FACTOR else ("more than " if factor > 1 else "less than ")
    )
    return f"{beyond}\u00d7 {factor:.2f}" if factor < 10 else f"{beyond}\u00d7 {factor:.0f}"


def probability(number: float, scale: str) -> float | None:
    """Return the probability at a number on its scale; None where the scale has none."""
    if scale == "log cumulative hazard":
        return -math.expm1(-math.exp(min(number, 30.0)))
    if scale == "log-odds":
        return 1 / (1 + math.exp(-min(max(number, -30.0), 30.0)))
    return None
