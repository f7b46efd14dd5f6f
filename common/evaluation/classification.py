"""Scores of class and label probabilities; NaN where only one outcome was seen."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


def class_scores(truth: NDArray[np.intp], probability: Array) -> dict[str, float]:
    """Score [P, C] class probabilities by every metric of a response.

    They are `auroc`, `auprc`, `accuracy`, `precision`, `recall` and `f1`.
    `truth` [P] is the true class. Scores are of class 1 if C is 2, otherwise means over classes against the rest
    (for `precision`, `recall` and `f1`, over the classes that are true or predicted for any patient). The precision of
    class 1 is NaN if it is predicted for nobody.
    """
    from torchmetrics.functional.classification import (
        binary_f1_score,
        binary_precision,
        binary_recall,
        multiclass_accuracy,
        multiclass_f1_score,
        multiclass_precision,
        multiclass_recall,
    )

    classes = probability.shape[1]
    judged = [1] if classes == 2 else range(classes)
    ranking = ranking_scores((truth == c, probability[:, c]) for c in judged)
    nothing = dict.fromkeys(("accuracy", "precision", "recall", "f1"), float("nan"))
    if not len(truth):
        return ranking | nothing
    chosen, actual = torch.from_numpy(probability.argmax(1)), torch.from_numpy(truth)
    accuracy = float(multiclass_accuracy(chosen, actual, num_classes=classes, average="micro"))
    if len(np.unique(truth)) == 1:
        return ranking | nothing | {"accuracy": accuracy}
    if classes == 2:
        figures = (
            binary_precision(chosen, actual) if bool(chosen.any()) else float("nan"),
            binary_recall(chosen, actual),
            binary_f1_score(chosen, actual),
        )
    else:
        figures = (
            multiclass_precision(chosen, actual, num_classes=classes, average="macro"),
            multiclass_recall(chosen, actual, num_classes=classes, average="macro"),
            multiclass_f1_score(chosen, actual, num_classes=classes, average="macro"),
        )
    named = zip(("precision", "recall", "f1"), map(float, figures), strict=True)
    return ranking | {"accuracy": accuracy} | dict(named)


def mean_auroc(outcomes: Iterable[tuple[NDArray[np.bool_], Array]]) -> float:
    """Mean area under the ROC curve, from counted pairs (Hanley & McNeil 1982).

    A NaN probability makes it NaN.

    A search in the sorted probabilities of those without the outcome is fast enough to bootstrap.

    Arguments as `ranking_scores`.
    """
    areas = []
    for has, probability in outcomes:
        cases, others = probability[has], np.sort(probability[~has])
        if not len(cases) or not len(others):
            continue
        if np.isnan(probability).any():
            return float("nan")
        lower, no_higher = np.searchsorted(others, cases), np.searchsorted(others, cases, "right")
        areas.append(float((lower + no_higher).sum()) / (2 * len(cases) * len(others)))
    return float(np.mean(areas)) if areas else float("nan")


def ranking_scores(outcomes: Iterator[tuple[NDArray[np.bool_], Array]]) -> dict[str, float]:
    """Mean `auroc` and average precision `auprc` over outcomes that occur and fail to occur.

    An outcome is a pair: whether patients had it [P], and its predicted probability [P].
    """
    from torchmetrics.functional.classification import binary_average_precision

    judged = [(has, probability) for has, probability in outcomes if 0 < has.sum() < len(has)]
    precisions = [
        float(
            binary_average_precision(torch.from_numpy(probability.clip(0, 1)), torch.from_numpy(has).long())
        )
        for has, probability in judged
    ]
    return {"auroc": mean_auroc(judged), "auprc": float(np.mean(precisions)) if judged else float("nan")}
