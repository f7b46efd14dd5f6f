import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_extreme_logits_stay_probabilities(
    federation: Federation, cuts: dict[str, torch.Tensor], extreme: float
) -> None:
    for task in federation.tasks:
        logits = torch.zeros(2, task.outputs)
        logits[:, 0] = extreme
        found = task.predict(logits, cuts.get(task.name))
        assert isinstance(found, SurvivalPrediction | ClassPrediction | LabelPrediction)
        values = found.survival if isinstance(found, SurvivalPrediction) else found.probability
        assert ((values >= 0) & (values <= 1)).all()


def test_classes_sum_to_one_and_adverse_events_are_independent(
    federation: Federation, cuts: dict[str, torch.Tensor]
) -> None:
    classes = federation.tasks[1].predict(
        torch.tensor([[0.0, np.log(2.0), np.log(5.0)]]), cuts.get(federation.tasks[1].name)
    )
    assert isinstance(classes, ClassPrediction)
    np.testing.assert_allclose(classes.probability, [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-6)
    labels = federation.tasks[2].predict(
        torch.tensor([[0.0, np.log(3.0)]]), cuts.get(federation.tasks[2].name)
    )
    assert isinstance(labels, LabelPrediction)
    np.testing.assert_allclose(labels.probability, [[0.5, 0.75]], rtol=1e-6)
