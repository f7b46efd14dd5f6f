import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from common.evaluation.predictions import ClassPrediction
from common.tasks.response import ResponseTask
from common.tasks.task import Lack

RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))


STAGE = ResponseTask(name="stage", label="stage", classes=("i", "ii", "iii", "iv"))


NOBODY_ELSE = np.array([[0.0]]), np.array([[True]])


def test_binary_response_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(2, size=200).astype(np.float64)
    yes = np.round(generator.uniform(0, 0.6, 200) + 0.3 * truth, 1)  # rounded: ties
    labelled = generator.random((200, 1)) < 0.8
    known = labelled[:, 0]
    prediction = ClassPrediction(np.stack([1 - yes, yes], axis=1))
    chosen = prediction.probability.argmax(axis=1)
    assert RESPONSE.scores(prediction, truth[:, None], labelled, *NOBODY_ELSE) == pytest.approx(
        {
            "auroc": roc_auc_score(truth[known], yes[known]),
            "auprc": average_precision_score(truth[known], yes[known]),
            "accuracy": accuracy_score(truth[known], chosen[known]),
            "precision": precision_score(truth[known], chosen[known]),
            "recall": recall_score(truth[known], chosen[known]),
            "f1": f1_score(truth[known], chosen[known]),
        },
        abs=1e-6,
    )


def test_response_of_several_classes_is_the_mean_over_those_seen() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(3, size=150).astype(np.float64)  # nobody is in stage iv
    probability = generator.dirichlet(np.ones(4), 150)
    scores = STAGE.scores(
        ClassPrediction(probability),
        truth[:, None],
        np.ones((150, 1), dtype=bool),
        np.array([[0.0]]),
        np.array([[True]]),
    )
    assert scores["auroc"] == pytest.approx(
        np.mean([roc_auc_score(truth == c, probability[:, c]) for c in range(3)])
    )
    chosen = probability.argmax(axis=1)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert scores[name] == pytest.approx(score(truth, chosen, average="macro", zero_division=0))


def test_one_class_or_nobody_is_undefined() -> None:
    prediction = ClassPrediction(np.array([[0.4, 0.6], [0.7, 0.3]]))
    one_class = RESPONSE.scores(
        prediction,
        np.array([[1.0], [1.0]]),
        np.array([[True], [True]]),
        np.array([[0.0]]),
        np.array([[True]]),
    )
    assert one_class["accuracy"] == 0.5
    assert all(math.isnan(one_class[name]) for name in ("auroc", "auprc", "precision", "recall", "f1"))
    nobody = RESPONSE.scores(
        prediction,
        np.array([[0.0], [0.0]]),
        np.array([[False], [False]]),
        np.array([[0.0]]),
        np.array([[True]]),
    )
    assert all(math.isnan(value) for value in nobody.values())


def test_classes_are_learned_from_two_of_them() -> None:
    labels, labelled = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([[True], [True], [True]])
    assert RESPONSE.lack(labels, labelled) is None
    assert RESPONSE.lack(labels[::2], labelled[::2]) is Lack.CONTRAST
    assert RESPONSE.lack(labels, ~labelled) is Lack.LABELS
