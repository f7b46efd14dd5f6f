"""Discrimination of classes and adverse events on held-out patients, as curves and shares."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import ClassPrediction, LabelPrediction
from common.tasks.task import OutcomeForm
from simulations.report.outcomes.curves import MINIMUM
from simulations.report.outcomes.evidence import Array, HeldOutPatients, TaskEvidence

FALSE_POSITIVES: Array = np.linspace(0, 1, 51)


SCORE_EDGES: Array = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Discrimination:
    """Discrimination of a class or adverse event: AUROC, cases, and mean ROC curve [G]."""

    name: str
    auroc: float
    cases: int
    sensitivity: Array


def discrimination(evidence: TaskEvidence) -> list[Discrimination]:
    """Mean over folds for each judged class or adverse event.

    Of two classes the second is judged, of more classes each.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    judged = []
    for name, outcomes in _outcomes(evidence):
        usable = [(truth, p) for truth, p in outcomes if 0 < truth.sum() < len(truth)]
        cases = int(sum(truth.sum() for truth, _ in outcomes))
        if usable and cases >= MINIMUM:
            curves = [np.interp(FALSE_POSITIVES, *roc_curve(truth, p)[:2]) for truth, p in usable]
            area = float(np.mean([roc_auc_score(truth, p) for truth, p in usable]))
            curve = np.concatenate([[0.0], np.mean(curves, axis=0)[1:]])
        else:
            area, curve = float("nan"), np.full(len(FALSE_POSITIVES), np.nan)
        judged.append(Discrimination(name, area, cases, curve))
    return judged


def _outcomes(evidence: TaskEvidence) -> Iterator[tuple[str, list[tuple[NDArray[np.bool_], Array]]]]:
    """Yield classes or adverse events with (occurrence [K], predicted probability [K]) per fold."""
    task = evidence.task
    names = list(enumerate(task.outcome_names))
    if task.form is OutcomeForm.CLASSES:
        for index, name in names[1 if len(names) == 2 else 0 :]:
            yield name, [_of_class(fold, index) for fold in evidence.folds]
    elif task.form is OutcomeForm.LABELS:
        for index, name in names:
            yield name, [_of_label(fold, index) for fold in evidence.folds]


def _of_class(fold: HeldOutPatients, index: int) -> tuple[NDArray[np.bool_], Array]:
    assert isinstance(fold.prediction, ClassPrediction)
    labelled = np.asarray(fold.labelled)[:, 0]
    return np.asarray(fold.labels)[labelled, 0] == index, fold.prediction.probability[labelled, index]


def _of_label(fold: HeldOutPatients, index: int) -> tuple[NDArray[np.bool_], Array]:
    assert isinstance(fold.prediction, LabelPrediction)
    labelled = np.asarray(fold.labelled)[:, index]
    return np.asarray(fold.labels)[labelled, index] > 0, fold.prediction.probability[labelled, index]


def score_shares(evidence: TaskEvidence) -> dict[str, Array]:
    """True class -> share [10] of its patients in each tenth of predicted probability.

    The probability is of the second of two classes, or of the patient's own class where there are more.
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


def _own(fold: HeldOutPatients, index: int) -> Array:
    has, probability = _of_class(fold, index)
    return probability[has]
