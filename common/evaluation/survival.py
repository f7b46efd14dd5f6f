"""Discrimination and Brier score of survival predictions.

A figure is NaN where it is undefined (one outcome only, no comparable pair), so that a small hospital's undefined
score is never taken for a bad one. Times are in the task's unit.
"""

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from torchsurv.stats.kaplan_meier import KaplanMeierEstimator
from common.evaluation.pairs import concordance_pairs
from common.evaluation.predictions import Array, Mask, SurvivalPrediction


def c_index(time: Array, event: Mask, risk: Array) -> float:
    """Harrell's concordance index; NaN without a comparable pair, or with a NaN risk.

    Arguments are those of `concordance_pairs`.
    """
    if np.isnan(risk).any():
        return float("nan")
    concordant, comparable = concordance_pairs(time, event, risk)
    return concordant / comparable if comparable else float("nan")


def integrated_brier(
    train_time: Array, train_event: Mask, test_time: Array, test_event: Mask, prediction: SurvivalPrediction
) -> float:
    """Brier score under censoring, averaged over the middle of the test patients' event times.

    Graf et al. (1999), Assessment and comparison of prognostic classification schemes: squared error at t
    weighted by the inverse probability of being uncensored, which Kaplan-Meier gives from the training
    patients. Averaged by the trapezoidal rule over 100 times between the 10th and 90th percentile of test
    event times, outside which there are too few patients on one side. NaN if those percentiles are equal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchsurv compiles a function with torch.jit
        from torchsurv.metrics.brier_score import BrierScore

    seen = test_time[test_event]
    low, high = np.percentile(seen, [10, 90]) if len(seen) else (0.0, 0.0)
    if low == high or not train_event.any():
        return float("nan")
    grid = np.linspace(low, high, 100)
    censoring = _censoring(train_time.tobytes(), train_event.tobytes())
    test = (torch.from_numpy(test_event), torch.from_numpy(test_time))
    brier = BrierScore()
    brier(
        torch.from_numpy(prediction.at(grid)),
        *test,
        new_time=torch.from_numpy(grid),
        weight=_inverse_probability(censoring, test[1]),
        weight_new_time=_inverse_probability(censoring, torch.from_numpy(grid)),
    )
    return float(brier.integral())


@lru_cache(maxsize=2)
def _censoring(time: bytes, event: bytes) -> "KaplanMeierEstimator":
    """Kaplan-Meier estimate of being censored, from float64 times and bool events.

    The cache serves the subgroups of test patients, which share the training patients.
    """
    from torchsurv.stats.kaplan_meier import KaplanMeierEstimator

    estimate = KaplanMeierEstimator()
    arrays = np.frombuffer(event, np.bool_).copy(), np.frombuffer(time, np.float64).copy()
    estimate(*map(torch.from_numpy, arrays), censoring_dist=True)
    return estimate


def _inverse_probability(censoring: "KaplanMeierEstimator", time: torch.Tensor) -> torch.Tensor:
    """1 / probability of being uncensored at times [K]; 0 where that probability is 0.

    The weights are those of `torchsurv.stats.ipcw.get_ipcw`.
    """
    uncensored = censoring.predict(time)
    return torch.where(uncensored > 0, 1 / uncensored, 0.0)


def survival_labels(labels: ArrayLike, labelled: ArrayLike) -> tuple[Array, Mask]:
    """Time [K] and event [K] bool of the K patients with both labels."""
    labelled_rows = np.asarray(labels, dtype=np.float64)[np.asarray(labelled, dtype=np.bool_).all(axis=1)]
    return np.ascontiguousarray(labelled_rows[:, 0]), labelled_rows[:, 1] > 0
