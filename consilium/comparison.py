"""Comparison of two results, arm by arm."""

import shlex
from dataclasses import dataclass

import pandas as pd

from consilium.frames import arms_frame, folds_frame
from simulations.results.schema import SimulationResult


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    Attributes:
        reasons: why folds do not match; empty if they do.
    """

    _table: pd.DataFrame
    reasons: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Differences of all metrics that both results have, indexed by task, arm and metric.

        Columns: the two means, and their difference (this minus other); where folds match also `paired_sd`, the
        deviation of the difference over folds, and `folds`, their number.
        """
        return self._table

    @property
    def is_paired(self) -> bool:
        """Whether both results hold out the same patients fold by fold."""
        return not self.reasons

    def _repr_html_(self) -> str:
        """The table, for a notebook."""
        note = "".join(f"<p>Not paired: {reason}.</p>" for reason in self.reasons)
        return f"{self._table.to_html(float_format='{:.3f}'.format)}{note}"


def compare(this: SimulationResult, other: SimulationResult) -> Comparison:
    """Compare two results; folds that hold out the same patients are paired."""
    means = pd.concat({"this": arms_frame(this)["mean"], "other": arms_frame(other)["mean"]}, axis=1).dropna()
    means["difference"] = means["this"] - means["other"]
    reasons = tuple(_reasons(this, other))
    if not reasons:
        by_fold = folds_frame(this)["value"].astype(float) - folds_frame(other)["value"].astype(float)
        grouped = by_fold.dropna().groupby(level=["task", "arm", "metric"])
        means["difference"] = grouped.mean().reindex(means.index)
        means["paired_sd"] = grouped.std().reindex(means.index)
        means["folds"] = grouped.size().reindex(means.index)
    return Comparison(means, reasons)


def _reasons(this: SimulationResult, other: SimulationResult) -> list[str]:
    """Reason why the folds of two results cannot be paired."""
    sizes = [
        {name: hospital.patients for name, hospital in result.hospitals.items()} for result in (this, other)
    ]
    reasons = []
    if this.cohort != other.cohort or sizes[0] != sizes[1]:
        reasons.append("the cohorts differ")
    if this.seed != other.seed:
        reasons.append("the seeds differ, and with them the splits")
    if len(this.folds) != len(other.folds) or _fold(this) != _fold(other):
        reasons.append("other folds are held out")
    return reasons


def _fold(result: SimulationResult) -> str | None:
    """The fold that a result's command names, if it names one."""
    words = shlex.split(result.command or "")
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--fold":
            return following
        if word.startswith("--fold="):
            return word.removeprefix("--fold=")
    return None
