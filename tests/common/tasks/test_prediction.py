import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction

BINS = 4


@pytest.fixture
def survival(federation: Federation, cuts: dict[str, torch.Tensor]) -> SurvivalPrediction:
    """Five patients, each with a higher hazard than the one before."""
    logits = torch.linspace(-1, 1, BINS).expand(5, -1) + torch.arange(-4, 6, 2)[:, None]
    found = federation.tasks[0].predict(logits, cuts["survival"])
    assert isinstance(found, SurvivalPrediction)
    return found


def test_survival_is_the_running_product_of_surviving_each_interval(
    federation: Federation, cuts: dict[str, torch.Tensor]
) -> None:
    hazard = torch.tensor([[0.1, 0.5, 0.2, 0.9]])
    found = federation.tasks[0].predict(hazard.logit(), cuts["survival"])
    assert isinstance(found, SurvivalPrediction)
    np.testing.assert_allclose(found.survival, [[0.9, 0.45, 0.36, 0.036]], rtol=1e-6)
    np.testing.assert_allclose(found.risk, [-(0.9 + 0.45 + 0.36 + 0.036) / 4], rtol=1e-6)
    np.testing.assert_array_equal(found.times, [1, 2, 4, 8])


def test_a_higher_hazard_is_a_higher_risk(survival: SurvivalPrediction) -> None:
    assert (np.diff(survival.risk) > 0).all()


def test_a_hazard_raised_in_any_one_interval_raises_the_risk(
    federation: Federation, cuts: dict[str, torch.Tensor]
) -> None:
    logits = torch.cat([torch.zeros(1, BINS), torch.eye(BINS)])
    found = federation.tasks[0].predict(logits, cuts["survival"])
    assert isinstance(found, SurvivalPrediction)
    assert (found.risk[1:] > found.risk[0]).all()
    assert (np.diff(found.risk[1:]) < 0).all(), "an earlier hazard costs more"


def test_survival_curves_fall_within_zero_and_one(survival: SurvivalPrediction) -> None:
    assert (np.diff(survival.survival, axis=1) <= 0).all()
    assert ((survival.survival >= 0) & (survival.survival <= 1)).all()


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
