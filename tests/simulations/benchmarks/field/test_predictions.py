import numpy as np
import pytest

from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction
from simulations.benchmarks.field.predictions import averaged

SEEN = [np.array([True, True, False, False]), np.array([True, False, True, False])]


def test_a_patient_has_the_mean_of_the_models_that_see_something_of_him() -> None:
    first = LabelPrediction(np.array([[0.2], [0.2], [0.2], [0.2]]))
    second = LabelPrediction(np.array([[0.6], [0.6], [0.6], [0.6]]))
    fused = averaged([first, second], SEEN)
    assert isinstance(fused, LabelPrediction)
    np.testing.assert_allclose(fused.probability[:, 0], [0.4, 0.2, 0.6, 0.4])


def test_curves_and_risks_are_averaged_alike() -> None:
    rng = np.random.default_rng(0)
    times = np.array([1.0, 2.0])
    models = [SurvivalPrediction(-curve.mean(1), times, curve) for curve in rng.random((2, 4, 2))]
    fused = averaged(models, SEEN)
    assert isinstance(fused, SurvivalPrediction)
    np.testing.assert_allclose(fused.risk, -fused.survival.mean(1))
    np.testing.assert_allclose(fused.risk[1], models[0].risk[1])


def test_one_model_stays_as_it_is_and_different_ones_are_refused() -> None:
    labels = LabelPrediction(np.full((4, 2), 0.5))
    assert averaged([labels], SEEN[:1]) is labels
    with pytest.raises(ValueError, match="kind"):
        averaged([labels, ClassPrediction(np.full((4, 2), 0.5))], SEEN)
    early, late = (SurvivalPrediction(np.zeros(4), np.array([t]), np.ones((4, 1))) for t in (1.0, 2.0))
    with pytest.raises(ValueError, match="times"):
        averaged([early, late], SEEN)
