import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from simulations.audit.roc import auc, curve, over_targets, true_positives


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    member = rng.random(500) < 0.4
    return member, np.round(rng.normal(size=500) + member, 1)  # with ties


def test_curve_and_area_are_those_of_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    member, score = scored
    false, true = curve(member, score)
    expected_false, expected_true, _ = roc_curve(member, score, drop_intermediate=False)
    np.testing.assert_allclose(false, expected_false)
    np.testing.assert_allclose(true, expected_true)
    assert auc(member, score) == pytest.approx(roc_auc_score(member, score))


def test_true_positives_never_go_with_more_false_ones_than_asked_for() -> None:
    member = np.array([True] * 10 + [False] * 100)
    score = np.concatenate([np.arange(10) + 200.0, np.arange(100.0)])
    score[0] = 98.5  # below one of the others, who are 1% then
    score[1] = 97.5  # below two
    assert true_positives(member, score) == pytest.approx(0.9)
    assert true_positives(member, np.zeros(110)) == 0.0  # one threshold for all tells nobody from anybody


def test_interval_is_over_models_and_holds_the_figure() -> None:
    rng = np.random.default_rng(0)
    members = [rng.random(200) < 0.5 for _ in range(12)]
    scores = [rng.normal(size=200) + member for member in members]
    found = over_targets(auc, members, scores, seed=0)
    assert found.low < found.value < found.high
    assert found.low < 0.760 < found.high  # normal(1/sqrt 2)
    assert found == over_targets(auc, members, scores, seed=0)
