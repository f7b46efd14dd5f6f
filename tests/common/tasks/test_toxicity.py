import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from common.agreement.federation import Federation
from common.evaluation.predictions import LabelPrediction
from common.tasks.task import Lack
from common.tasks.toxicity import ToxicityTask

TOXICITY = ToxicityTask(name="ae", labels=("rash", "fever"))


def test_toxicity_is_the_mean_over_events_with_both_outcomes() -> None:
    generator = np.random.default_rng(2)
    truth = np.stack([generator.integers(2, size=80), np.zeros(80)], axis=1)
    labelled = generator.random((80, 2)) < 0.7
    probability = generator.random((80, 2))
    scores = TOXICITY.scores(LabelPrediction(probability), truth, labelled, truth, labelled)
    known = labelled[:, 0]
    found = TOXICITY.headline(LabelPrediction(probability), truth, labelled)
    assert found == pytest.approx(scores["auroc"])
    assert scores == pytest.approx(
        {
            "auroc": roc_auc_score(truth[known, 0], probability[known, 0]),
            "auprc": average_precision_score(truth[known, 0], probability[known, 0]),
        },
        abs=1e-6,
    )


def test_toxicity_is_the_mean_over_known_labels(federation: Federation) -> None:
    task = federation.tasks[2]
    logits, labels = torch.tensor([[0.7, -1.2]]).expand(4, -1), torch.tensor([[1.0, 0.0]]).expand(4, -1)
    known = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    rash, nausea = math.log1p(math.exp(-0.7)), math.log1p(math.exp(-1.2))
    expected = torch.tensor([(rash + nausea) / 2, rash, nausea, 0.0])
    torch.testing.assert_close(task.loss(logits, labels, known, None), expected)


def test_adverse_events_are_learned_if_some_have_one_that_others_have_not() -> None:
    labels, labelled = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.ones(2, 2, dtype=torch.bool)
    assert TOXICITY.lack(labels, labelled) is None
    labelled[1, 1] = False
    assert TOXICITY.lack(labels, labelled) is Lack.CONTRAST
    assert TOXICITY.lack(labels, labelled & False) is Lack.LABELS
