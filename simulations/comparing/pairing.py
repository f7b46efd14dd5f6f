"""Paired differences between two results or runs, and why they cannot be paired.

Two results are paired fold by fold: both hold out the same patients. Folds share training patients, so that the
variance of their differences is too small by itself; the interval is that of the corrected resampled t-test (Nadeau &
Bengio 2003),

    mean(d) +- t(n - 1) sqrt((1 / n + 1 / (k - 1)) var(d)),

with n differences d and k folds in all, of which one is the test set. Two runs are paired hospital by hospital: both
were validated on as many patients there, and the interval is that of the plain t-test over hospitals.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance

from pydantic import BaseModel, ConfigDict

LEVEL = 0.95


FEWEST = 2
"""Pairs from which on there is an interval."""


class FigureDifference(BaseModel):
    """Difference of a figure, first minus second.

    Attributes:
        name: of the figure.
        arm: of the experiment; empty for a run.
        first, second: means of both over the pairs.
        difference: mean of the differences.
        low, high: 95% interval; None where there are too few pairs for one.
        pairs: number of folds, or hospitals.
        lower_is_better: whether less of it is better, as of a loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arm: str = ""
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None
    pairs: int
    lower_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Word for the difference: better or worse only if 0 is outside the interval."""
        if self.low is None or self.high is None:
            return "unknown"
        if self.low <= 0 <= self.high:
            return "undecided"
        return "better" if (self.low > 0) != self.lower_is_better else "worse"


class Paired(BaseModel):
    """Comparison of two results or runs.

    Attributes:
        first, second: their names.
        unit: of the pairs, `fold` or `hospital`.
        reasons: why they cannot be paired; empty if they can.
        settings: what was asked for otherwise, as (key, first, second).
        differences: of every figure that both have; empty where they cannot be paired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str
    unit: str
    reasons: tuple[str, ...] = ()
    settings: tuple[tuple[str, str, str], ...] = ()
    differences: tuple[FigureDifference, ...] = ()


def paired(
    name: str,
    first: Sequence[float | None],
    second: Sequence[float | None],
    arm: str = "",
    folds: int | None = None,
    lower_is_better: bool = False,
) -> FigureDifference | None:
    """Pair two series of figures; None where no pair has both.

    Args:
        name: of the figure.
        first: figure by fold or hospital.
        second: the same of the other.
        arm: of the experiment.
        folds: of the cross-validation in all; None for figures of separate patients, as by hospital.
        lower_is_better: whether less of it is better.
    """
    both = [
        (value, other)
        for value, other in zip(first, second, strict=True)
        if value is not None and other is not None and math.isfinite(value) and math.isfinite(other)
    ]
    if not both:
        return None
    differences = [value - other for value, other in both]
    mean = fmean(differences)
    low = high = None
    if len(differences) >= FEWEST:
        n = len(differences)
        shared = 0.0 if folds is None else 1 / (max(folds, FEWEST) - 1)
        half = _quantile(n - 1) * math.sqrt((1 / n + shared) * variance(differences))
        low, high = mean - half, mean + half
    return FigureDifference(
        name=name,
        arm=arm,
        first=fmean(value for value, _ in both),
        second=fmean(other for _, other in both),
        difference=mean,
        low=low,
        high=high,
        pairs=len(both),
        lower_is_better=lower_is_better,
    )


def _quantile(freedom: int) -> float:
    """Quantile of Student's t for a two-sided interval."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def other_settings(
    first: Mapping[str, object], second: Mapping[str, object]
) -> tuple[tuple[str, str, str], ...]:
    """List the settings in which two agreements differ, by their keys."""
    flat = [dict(_flattened(agreement)) for agreement in (first, second)]
    keys = sorted({*flat[0], *flat[1]})
    return tuple(
        (key, flat[0].get(key, "not set"), flat[1].get(key, "not set"))
        for key in keys
        if flat[0].get(key) != flat[1].get(key)
    )


def _flattened(data: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(data, Mapping):
        return [
            entry
            for key, value in data.items()
            for entry in _flattened(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    return [(prefix, str(data))]
