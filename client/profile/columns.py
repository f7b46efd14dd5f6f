"""Profiles of single columns: quartiles, outliers, bins, and doubts about the unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.profile.figures import Bins, LevelProfile, NumberProfile
from common.units.mistakes import NEAR, hint, mistakes, unit_of

Array = NDArray[np.float64]

_FAR = 3.0
"""Quartile ranges beyond a quartile from where on a value is an outlier (Tukey's far out values)."""

_LEAST = 5
"""Fewest values by which a unit is doubted."""

_BINS = 24
"""Most bins of a histogram."""


@dataclass(frozen=True)
class ColumnAgreement:
    """Numeric column as the federation file has it.

    Attributes:
        column: its name.
        label: display name, or the same.
        source: file and column at the hospital.
        unit: empty without one.
        plausible: ends of the plausible range; None for an end that is not given.
        typical: range in which about two thirds of patients lie; None without one.
    """

    column: str
    label: str
    source: str
    unit: str = ""
    plausible: tuple[float | None, float | None] = (None, None)
    typical: tuple[float, float] | None = None


def profile_of_numbers(agreed: ColumnAgreement, values: Array, missing: int) -> NumberProfile:
    """Profile the values [P] that patients have of a column; `missing` have none."""
    low_end, high_end = agreed.plausible
    fields = {
        "column": agreed.column,
        "label": agreed.label,
        "source": agreed.source,
        "unit": agreed.unit,
        "missing": missing,
        "plausible": agreed.plausible,
        "typical": agreed.typical,
    }
    if not len(values):
        return NumberProfile(patients=0, **fields)
    low, median, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    fence = _FAR * (high - low)
    far = (values < low - fence) | (values > high + fence) if fence > 0 else np.zeros(len(values), dtype=bool)
    outside = np.zeros(len(values), dtype=bool)
    outside |= values < (-math.inf if low_end is None else low_end)
    outside |= values > (math.inf if high_end is None else high_end)
    within = None
    if agreed.typical is not None:
        within = float(((agreed.typical[0] <= values) & (values <= agreed.typical[1])).mean())
    return NumberProfile(
        patients=len(values),
        lowest=float(values.min()),
        low=low,
        median=median,
        high=high,
        highest=float(values.max()),
        outliers=int(far.sum()),
        outside=int(outside.sum()),
        within_typical=within,
        bins=_bins(values),
        doubt=_doubt(agreed, values, median, int(outside.sum())),
        **fields,
    )


def _bins(values: Array) -> Bins | None:
    """Bin values evenly; values of few kinds, such as grades, have a bin each."""
    lowest, highest = float(values.min()), float(values.max())
    if not math.isfinite(highest - lowest):
        return None
    kinds = np.unique(values)
    if len(kinds) == 1:
        edges = np.array([lowest - 0.5, lowest + 0.5])
    elif len(kinds) <= _BINS // 2 and (kinds % 1 == 0).all() and highest - lowest < _BINS:
        edges = np.arange(lowest - 0.5, highest + 1.0)
    else:
        edges = np.linspace(lowest, highest, max(6, min(_BINS, int(2 * len(values) ** 0.5))) + 1)
    counts, edges = np.histogram(values, edges)
    return Bins(edges=tuple(map(float, edges)), counts=tuple(map(int, counts)))


def _doubt(agreed: ColumnAgreement, values: Array, median: float, outside: int) -> str:
    """Doubt a column of an untypical median that another unit explains, or that is far out.

    A typical range is two standard deviations wide: a median is far more than one beyond it. A column of which most
    lies outside the plausible range is doubted too.
    """
    if len(values) < _LEAST:
        return ""
    unit = f" {agreed.unit}" if agreed.unit else ""
    if agreed.typical is not None and not agreed.typical[0] <= median <= agreed.typical[1]:
        low, high = agreed.typical
        question = unit_question(agreed, median)
        is_far = max(low - median, median - high) > (high - low) / 2
        if question or is_far:
            typical = f"typical here is {short(low)} to {short(high)}{unit}"
            return f"median {short(median)} of {agreed.label}; {typical}" + (
                f": {question}" if question else "."
            )
    if 2 * outside > len(values):
        low_end, high_end = (("any" if end is None else short(end)) for end in agreed.plausible)
        return (
            f"median {short(median)} of {agreed.label}; {outside:,} of {len(values):,} values are outside the "
            f"plausible {low_end} to {high_end}{unit}."
        )
    return ""


def unit_question(agreed: ColumnAgreement, median: float) -> str:
    """Ask for the unit that would bring the median to the typical range; empty where none would."""
    assert agreed.typical is not None
    low, high = agreed.typical
    fahrenheit = (median - 32) / 1.8
    if agreed.unit.strip().lower() in ("°c", "c", "celsius", "degrees celsius") and low <= fahrenheit <= high:
        return "°F instead of °C?"
    if median <= 0 or high <= 0:
        return ""
    middle = math.sqrt(low * high) if low > 0 else high / 2
    near = max(NEAR, high / middle)
    ratio = median / middle
    spelled = unit_of(agreed.unit, agreed.column)
    if agreed.unit and not spelled:
        return ""
    fitting = [m for m in mistakes(ratio, spelled, near) if low <= median / m.ratio <= high]
    if fitting and spelled:
        return fitting[0].question
    return hint(ratio, agreed.unit, agreed.column) if fitting else ""


def short(value: float) -> str:
    """Write a value with three digits, or all digits before its point."""
    if 1000 <= abs(value) < 1e6 or (value == round(value) and abs(value) < 1e6):
        return f"{value:.0f}"
    return f"{value:.3g}"


def profile_of_levels(
    column: str, label: str, source: str, levels: Sequence[str], counts: Array, patients: int
) -> LevelProfile:
    """Profile the patients by level, [levels] counts among so many patients."""
    by_level = {level: int(count) for level, count in zip(levels, counts, strict=True)}
    return LevelProfile(
        column=column, label=label, source=source, missing=patients - sum(by_level.values()), levels=by_level
    )
