"""How well classes and adverse events are told apart on held-out patients, as curves and shares."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import ClassPrediction, LabelPrediction
from common.tasks.task import OutcomeForm
from simulations.experiment.evidence import Array, HeldOut, TaskEvidence
from simulations.report.curves import MINIMUM

FALSE_POSITIVES: Array = np.linspace(0, 1, 51)


SCORE_EDGES: Array = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Discrimination:
    """One class or adverse event against the rest: AUROC, cases, and the mean ROC curve [G] over folds."""

    name: str
    auroc: float
    cases: int
    sensitivity: Array


def discrimination(evidence: TaskEvidence) -> list[Discrimination]:
    """Mean over folds for each judged class (the second of two, each of more) or adverse event."""
    from sklearn.metrics import roc_auc_score, roc_curve

    found = []
    for name, outcomes in _outcomes(evidence):
        usable = [(truth, p) for truth, p in outcomes if 0 < truth.sum() < len(truth)]
        cases = int(sum(truth.sum() for truth, _ in outcomes))
        if usable and cases >= MINIMUM:
            curves = [np.interp(FALSE_POSITIVES, *roc_curve(truth, p)[:2]) for truth, p in usable]
            area = float(np.mean([roc_auc_score(truth, p) for truth, p in usable]))
            curve = np.concatenate([[0.0], np.mean(curves, axis=0)[1:]])
        else:
            area, curve = float("nan"), np.full(len(FALSE_POSITIVES), np.nan)
        found.append(Discrimination(name, area, cases, curve))
    return found


def _outcomes(evidence: TaskEvidence) -> Iterator[tuple[str, list[tuple[NDArray[np.bool_], Array]]]]:
    """For each class or adverse event: per fold, who has it [K] and its predicted probability [K]."""
    task = evidence.task
    names = list(enumerate(task.outcome_names))
    if task.form is OutcomeForm.CLASSES:
        for index, name in names[1 if len(names) == 2 else 0 :]:
            yield name, [_of_class(fold, index) for fold in evidence.folds]
    elif task.form is OutcomeForm.LABELS:
        for index, name in names:
            yield name, [_of_label(fold, index) for fold in evidence.folds]


def _of_class(fold: HeldOut, index: int) -> tuple[NDArray[np.bool_], Array]:
    assert isinstance(fold.prediction, ClassPrediction)
    known = np.asarray(fold.labelled)[:, 0]
    return np.asarray(fold.labels)[known, 0] == index, fold.prediction.probability[known, index]


def _of_label(fold: HeldOut, index: int) -> tuple[NDArray[np.bool_], Array]:
    assert isinstance(fold.prediction, LabelPrediction)
    known = np.asarray(fold.labelled)[:, index]
    return np.asarray(fold.labels)[known, index] > 0, fold.prediction.probability[known, index]


def score_shares(evidence: TaskEvidence) -> dict[str, Array]:
    """By true class, the share [10] of patients in each tenth of predicted probability.

    The probability is of the second of two classes; of the patient's own class where there are more.
    """
    shares = {}
    classes = evidence.task.outcome_names
    for index, name in enumerate(classes):
        scored = [
            _of_class(fold, 1)[1][_of_class(fold, index)[0]] if len(classes) == 2 else _own(fold, index)
            for fold in evidence.folds
        ]
        scores = np.concatenate(scored) if scored else np.array([])
        if len(scores) >= MINIMUM:
            shares[name] = np.histogram(scores, SCORE_EDGES)[0] / len(scores)
    return shares


def _own(fold: HeldOut, index: int) -> Array:
    has, probability = _of_class(fold, index)
    return probability[has]
