"""How well predictions fit what happened: discrimination and Brier score.

Arrays in, floats out; NaN wherever a figure is undefined (one outcome only, no comparable pair), so that a
small hospital's undefined score is never taken for a bad one. Times are in the task's unit.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from common.classification import class_scores, mean_auroc, ranking_scores
from common.schema import ResponseTask, SurvivalTask, Task, ToxicityTask

if TYPE_CHECKING:
    from torchsurv.stats.kaplan_meier import KaplanMeierEstimator

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Patients = NDArray[np.intp] | Mask

HEADLINE = {"survival": "c_index", "response": "auroc", "toxicity": "auroc"}
"""The one metric a kind of task is compared by."""
LOWER_IS_BETTER = frozenset({"integrated_brier"})

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class SurvivalPrediction:
    """Predicted survival of P patients.

    Attributes:
        risk: [P] float64, higher for an earlier expected event.
        times: [T] float64, positive and increasing, in the task's unit; the same for all patients.
        survival: [P, T] float64, probability of no event up to and including each time.
    """

    risk: Array
    times: Array
    survival: Array

    def select(self, patients: Patients) -> Self:
        """The patients at these indices or under this mask."""
        return type(self)(self.risk[patients], self.times, self.survival[patients])

    def at(self, times: ArrayLike) -> Array:
        """[P, K] survival at K times: linear between known times from 1 at time 0, constant after the last.

        Linear is the constant-density interpolation of Kvamme & Borgan (2021), Continuous and discrete-time
        survival prediction with neural networks.
        """
        wanted = np.asarray(times, dtype=np.float64)
        known = np.concatenate([[0.0], self.times])
        curves = np.concatenate([np.ones((len(self.survival), 1)), self.survival], axis=1)
        right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
        share = np.clip((wanted - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
        between: Array = curves[:, right - 1] * (1 - share) + curves[:, right] * share
        return between


@dataclass(frozen=True)
class _Probabilities:
    probability: Array

    def select(self, patients: Patients) -> Self:
        """The patients at these indices or under this mask."""
        return type(self)(self.probability[patients])


class ClassPrediction(_Probabilities):
    """Probability of each of C classes: [P, C] float64, rows summing to 1."""


class LabelPrediction(_Probabilities):
    """Probability of each of L adverse events: [P, L] float64."""


Prediction = SurvivalPrediction | ClassPrediction | LabelPrediction


def concatenate(predictions: Sequence[Prediction]) -> Prediction:
    """All patients of several predictions of one task, in order.

    Raises:
        ValueError: if they are of different kinds, or of survival at different times.
    """
    first = predictions[0]
    if isinstance(first, SurvivalPrediction):
        curves = [other for other in predictions if isinstance(other, SurvivalPrediction)]
        if len(curves) < len(predictions) or any(not np.array_equal(first.times, c.times) for c in curves):
            raise ValueError("predictions of survival must all be at the same times")
        risk, survival = (
            np.concatenate(parts) for parts in zip(*((c.risk, c.survival) for c in curves), strict=True)
        )
        return SurvivalPrediction(risk, first.times, survival)
    same = [other.probability for other in predictions if isinstance(other, type(first))]
    if len(same) < len(predictions):
        raise ValueError("predictions must all be of the same kind")
    return type(first)(np.concatenate(same))


def concordance_pairs(time: Array, event: Mask, risk: Array) -> tuple[float, int]:
    """Concordant pairs, a tie in risk counting 1/2, and comparable pairs; both add over hospitals.

    A pair is comparable if the earlier of the two had the event; at equal times, if exactly one had it (a
    patient censored at t outlives an event at t). Harrell, Lee & Mark (1996), with the ties of
    `lifelines.utils.concordance_index`. Concordant is NaN if a risk is NaN.

    Args:
        time: [P] time of event or censoring.
        event: [P] whether the event was seen.
        risk: [P] higher for an earlier expected event.
    """
    if np.isnan(risk).any():
        return float("nan"), 0
    concordant, comparable = 0.0, 0
    events = np.flatnonzero(event)
    for rows in np.array_split(events, len(events) * len(time) // _CELLS_AT_ONCE + 1):
        start, own_risk = time[rows, None], risk[rows, None]
        later = (time > start) | ((time == start) & ~event)
        concordant += float((later & (risk < own_risk)).sum()) + 0.5 * float(
            (later & (risk == own_risk)).sum()
        )
        comparable += int(later.sum())
    return concordant, comparable


def c_index(time: Array, event: Mask, risk: Array) -> float:
    """Harrell's concordance index; NaN without a comparable pair. Arguments as `concordance_pairs`."""
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
    """Kaplan-Meier of being censored, of float64 times and bool events; the same for all subgroups of test patients."""
    from torchsurv.stats.kaplan_meier import KaplanMeierEstimator

    estimate = KaplanMeierEstimator()
    told = np.frombuffer(event, np.bool_).copy(), np.frombuffer(time, np.float64).copy()
    estimate(*map(torch.from_numpy, told), censoring_dist=True)
    return estimate


def _inverse_probability(censoring: "KaplanMeierEstimator", time: torch.Tensor) -> torch.Tensor:
    """1 / probability of being uncensored at times [K], 0 where nobody is (as `torchsurv.stats.ipcw.get_ipcw`)."""
    uncensored = censoring.predict(time)
    return torch.where(uncensored > 0, 1 / uncensored, 0.0)


def score(
    task: Task,
    prediction: Prediction,
    labels: ArrayLike,
    labelled: ArrayLike,
    train_labels: ArrayLike,
    train_labelled: ArrayLike,
) -> dict[str, float]:
    """Every metric of one task over its labelled patients.

    Survival: `c_index`, `integrated_brier`. Response: `auroc`, `auprc`, `accuracy`, `f1`, of class 1 if there
    are two classes, otherwise the mean over classes against the rest. Toxicity: `auroc`, `auprc`, means over
    adverse events. Means are over those classes or events that some have and some have not.

    Args:
        task: the task, which must fit the kind of prediction.
        prediction: for P patients.
        labels, labelled: [P, columns] as in `PatientBatch`.
        train_labels, train_labelled: [N, columns] of the patients trained on, for their censoring alone.

    Raises:
        TypeError: if the prediction is not of the task's kind.
    """
    known = np.asarray(labelled, dtype=np.bool_)
    truth = np.asarray(labels, dtype=np.float64)
    if isinstance(task, SurvivalTask) and isinstance(prediction, SurvivalPrediction):
        time, event = survival_labels(truth, known)
        train_time, train_event = survival_labels(train_labels, train_labelled)
        here = prediction.select(np.flatnonzero(known.all(axis=1)))
        return {
            "c_index": c_index(time, event, here.risk),
            "integrated_brier": integrated_brier(train_time, train_event, time, event, here),
        }
    if isinstance(task, ResponseTask) and isinstance(prediction, ClassPrediction):
        return class_scores(truth[known[:, 0], 0].astype(np.intp), prediction.probability[known[:, 0]])
    if isinstance(task, ToxicityTask) and isinstance(prediction, LabelPrediction):
        return ranking_scores(
            (truth[cells, label] > 0, prediction.probability[cells, label])
            for label, cells in enumerate(known.T)
        )
    raise TypeError(f"task {task.name} is a {task.kind} task, the prediction a {type(prediction).__name__}")


def headline(task: Task, prediction: Prediction, labels: ArrayLike, labelled: ArrayLike) -> float:
    """The headline metric alone, cheap enough to bootstrap. Arguments and errors as `score`."""
    if isinstance(task, SurvivalTask) and isinstance(prediction, SurvivalPrediction):
        known = np.asarray(labelled, dtype=np.bool_).all(axis=1)
        return c_index(*survival_labels(labels, labelled), prediction.risk[known])
    truth, known = np.asarray(labels, dtype=np.float64), np.asarray(labelled, dtype=np.bool_)
    if isinstance(task, ResponseTask) and isinstance(prediction, ClassPrediction):
        actual, probability = truth[known[:, 0], 0], prediction.probability[known[:, 0]]
        judged = [1] if len(task.classes) == 2 else range(len(task.classes))
        return mean_auroc((actual == c, probability[:, c]) for c in judged)
    if isinstance(task, ToxicityTask) and isinstance(prediction, LabelPrediction):
        columns = enumerate(known.T)
        return mean_auroc((truth[cells, c] > 0, prediction.probability[cells, c]) for c, cells in columns)
    return score(task, prediction, labels, labelled, labels, labelled)[HEADLINE[task.kind]]


def survival_labels(labels: ArrayLike, labelled: ArrayLike) -> tuple[Array, Mask]:
    """Time [K] and event [K] bool of the K patients for whom both are known."""
    known = np.asarray(labels, dtype=np.float64)[np.asarray(labelled, dtype=np.bool_).all(axis=1)]
    return np.ascontiguousarray(known[:, 0]), known[:, 1] > 0
