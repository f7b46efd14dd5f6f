"""Kaplan-Meier curves of held-out patients by third of predicted risk."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.evaluation.predictions import SurvivalPrediction
from common.evaluation.survival import survival_labels
from simulations.report.outcomes.curves import MINIMUM, time_axis
from simulations.report.outcomes.evidence import Array, HeldOutPatients, TaskEvidence

TERTILES = ("lower third", "middle third", "upper third")


@dataclass(frozen=True)
class RiskCurve:
    """Kaplan-Meier survival [G] on a grid, with 95% band [G] and patients at risk [K]."""

    name: str
    survival: Array
    low: Array
    high: Array
    at_risk: NDArray[np.intp]


@dataclass(frozen=True)
class RiskCurves:
    """Survival by thirds of predicted risk.

    Attributes:
        unit: unit of `grid` and `ticks`.
        grid: [G] times of the curves.
        ticks: [K] times at which patients at risk are counted.
        curves: curves of the thirds.
        p_value: p value of the log-rank test between the thirds.
        within: whether the thirds were taken within subgroups.
    """

    unit: str
    grid: Array
    ticks: Array
    curves: tuple[RiskCurve, ...]
    p_value: float
    within: bool


def risk_curves(evidence: TaskEvidence) -> RiskCurves | None:
    """Estimate Kaplan-Meier curves by third of predicted risk; None with too few patients.

    Patients are ranked within their fold and subgroup: risks of two folds come from two models, and those of
    two cancers differ by the diagnosis alone.
    """
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test

    axis = time_axis(evidence)
    rows = [_ranked(number, fold) for number, fold in enumerate(evidence.folds)]
    patients = pd.concat(rows) if rows else pd.DataFrame()
    if axis is None or len(patients) < len(TERTILES) * MINIMUM:
        return None
    time, event = patients["time"] * axis.per, patients["event"]
    grid = np.linspace(0, axis.ticks[-1], 20 * (len(axis.ticks) - 1) + 1)
    curves = []
    for third, name in enumerate(TERTILES):
        in_third = (patients["third"] == third).to_numpy()
        if in_third.sum() < MINIMUM:
            return None
        fit = KaplanMeierFitter().fit(time[in_third], event[in_third], timeline=grid)
        supported = _at_risk(time[in_third], grid) >= MINIMUM
        band = fit.confidence_interval_survival_function_.to_numpy()
        survival, low, high = (
            np.where(supported, column, np.nan)
            for column in (fit.survival_function_.iloc[:, 0].to_numpy(), band[:, 0], band[:, 1])
        )
        curves.append(RiskCurve(name, survival, low, high, _at_risk(time[in_third], axis.ticks)))
    p_value = float(multivariate_logrank_test(time, patients["third"], event).p_value)
    within = patients["group"].nunique() > 1
    return RiskCurves(axis.unit, grid, axis.ticks, tuple(curves), p_value, within)


def _ranked(number: int, fold: HeldOutPatients) -> pd.DataFrame:
    """Time, event, group and third of predicted risk of a fold's labelled patients."""
    labelled = np.asarray(fold.labelled).all(axis=1)
    time, event = survival_labels(fold.labels, fold.labelled)
    assert isinstance(fold.prediction, SurvivalPrediction)
    rows = pd.DataFrame(
        {
            "time": time,
            "event": event,
            "risk": fold.prediction.risk[labelled],
            "group": np.asarray(fold.groups, dtype=object)[labelled],
        }
    ).dropna(subset=["risk"])
    ranks = rows.groupby("group")["risk"]
    rows["third"] = (3 * (ranks.rank() - 0.5) / ranks.transform("size")).astype(int)
    rows["fold"] = number
    return rows


def _at_risk(time: "pd.Series[float]", at: Array) -> NDArray[np.intp]:
    return np.asarray((time.to_numpy()[:, None] >= at).sum(axis=0), dtype=np.intp)
