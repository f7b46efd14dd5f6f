"""Scores of a task's predictions, and its headline score."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from common.agreement.tasks import ResponseTask, SurvivalTask, Task, ToxicityTask
from common.evaluation.classification import class_scores, mean_auroc, ranking_scores

if TYPE_CHECKING:
    pass
from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.evaluation.survival import c_index, integrated_brier, survival_labels

HEADLINE = {"survival": "c_index", "response": "auroc", "toxicity": "auroc"}
"""The one metric a kind of task is compared by."""


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


def fewest_pairs(task: Task, least: int) -> int:
    """The fewest comparable pairs that `least` patients of each kind make.

    All of one class with all of another; for survival all events with each other, of which no fewer than `least` are
    outlived. More pairs can still be of fewer patients: only the app, which sees them, can tell (`client.training`).
    """
    return max(least, least * (least - 1) // 2) if isinstance(task, SurvivalTask) else least**2
