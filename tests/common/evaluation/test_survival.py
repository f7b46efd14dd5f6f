import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from common.evaluation import survival as metrics
from common.evaluation.pairs import concordance_pairs
from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction, concatenate
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
STAGE = ResponseTask(name="stage", label="stage", classes=("i", "ii", "iii", "iv"))
TOXICITY = ToxicityTask(name="ae", labels=("rash", "fever"))
NOBODY_ELSE = np.array([[0.0]]), np.array([[True]])
"""Labels of training patients, where they do not matter."""


def exponential_curves(
    patients: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], SurvivalPrediction]:
    """Patients whose risk is known up to noise: time, event, prediction."""
    generator = np.random.default_rng(seed)
    rate = generator.uniform(0.01, 0.1, patients)
    death, leave = generator.exponential(1 / rate), generator.exponential(40, patients)
    times = np.linspace(1, 80, 40)
    prediction = SurvivalPrediction(np.log(rate), times, np.exp(-rate[:, None] * times))
    return np.ceil(np.minimum(death, leave)), death <= leave, prediction


def test_concordance_by_hand() -> None:
    # Comparable: (0,1) (0,2) (0,3) (2,3); 1 was censored at the time 2 died, so (2,1) too; 3 was censored.
    time = np.array([1.0, 2.0, 2.0, 3.0])
    event = np.array([True, False, True, False])
    risk = np.array([4.0, 4.0, 1.0, 0.0])
    assert concordance_pairs(time, event, risk) == (3.5, 5)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_concordance_equals_lifelines_with_ties(patients: list[tuple[int, bool, int]]) -> None:
    time, event, risk = (np.array(column) for column in zip(*patients, strict=True))
    ours = metrics.c_index(time.astype(float), event, risk.astype(float))
    try:
        assert ours == pytest.approx(concordance_index(time, -risk, event))
    except ZeroDivisionError:
        assert math.isnan(ours)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 5), st.floats(-3, 3))
def test_concordance_depends_on_the_order_of_risks_alone(seed: int, slope: float, shift: float) -> None:
    time, event, prediction = exponential_curves(60, seed)
    pairs = concordance_pairs(time, event, prediction.risk)
    assert concordance_pairs(time, event, np.exp(slope * prediction.risk + shift)) == pairs


def test_concordance_is_the_same_in_pieces() -> None:
    time, event, prediction = exponential_curves(300, 0)
    whole = concordance_pairs(time, event, prediction.risk)
    assert concordance_pairs(time, event, prediction.risk, cells=1000) == whole


def test_a_diverged_risk_has_no_c_index() -> None:
    assert math.isnan(metrics.c_index(np.array([1.0, 2.0]), np.array([True, True]), np.array([np.nan, 0.0])))


def test_survival_between_times_is_linear_from_one() -> None:
    prediction = SurvivalPrediction(np.zeros(1), np.array([10.0, 20.0]), np.array([[0.8, 0.4]]))
    assert prediction.at([0, 5, 10, 15, 20, 99]) == pytest.approx(np.array([[1.0, 0.9, 0.8, 0.6, 0.4, 0.4]]))


def test_integrated_brier_equals_scikit_survival() -> None:
    reference = pytest.importorskip("sksurv.metrics", reason="needs the extra `baselines`")
    surv = pytest.importorskip("sksurv.util").Surv
    train_time, train_event, _ = exponential_curves(400, 1)
    time, event, prediction = exponential_curves(150, 2)
    inside = time < train_time.max()
    time, event, prediction = time[inside], event[inside], prediction.select(inside)
    low, high = np.percentile(time[event], [10, 90])
    grid = np.linspace(low, high, 100)
    expected = reference.integrated_brier_score(
        surv.from_arrays(train_event, train_time), surv.from_arrays(event, time), prediction.at(grid), grid
    )
    ours = metrics.integrated_brier(train_time, train_event, time, event, prediction)
    assert ours == pytest.approx(expected, abs=1e-6)


def test_integrated_brier_of_everyone_at_one_half_is_a_quarter_without_censoring() -> None:
    time = np.arange(1.0, 41.0)
    died = np.ones(40, dtype=bool)
    half = SurvivalPrediction(np.zeros(40), np.array([1e-3, 50.0]), np.full((40, 2), 0.5))
    assert metrics.integrated_brier(time, died, time, died, half) == pytest.approx(0.25)


def test_survival_score_ignores_unlabelled_patients() -> None:
    time, event, prediction = exponential_curves(120, 3)
    labels = np.stack([time, event], axis=1).astype(np.float64)
    labelled = np.ones((120, 2), dtype=bool)
    labelled[::3] = False
    spoilt = np.where(labelled, labels, 0)
    kept = labelled[:, 0]
    whole = SURVIVAL.scores(prediction, spoilt, labelled, labels, labelled)
    alone = SURVIVAL.scores(prediction.select(kept), labels[kept], labelled[kept], spoilt, labelled)
    assert whole == alone
    assert whole["c_index"] > 0.6
    assert 0 < whole["integrated_brier"] < 0.25
    assert SURVIVAL.headline(prediction, spoilt, labelled) == whole["c_index"]


def test_no_events_means_no_survival_score() -> None:
    time, _, prediction = exponential_curves(20, 3)
    labels, labelled = np.stack([time, np.zeros(20)], axis=1), np.ones((20, 2), dtype=bool)
    scores = SURVIVAL.scores(prediction, labels, labelled, labels, labelled)
    assert all(math.isnan(value) for value in scores.values())


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
    assert scores["f1"] == pytest.approx(f1_score(truth, probability.argmax(axis=1), average="macro"))


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
    assert all(math.isnan(one_class[name]) for name in ("auroc", "auprc", "f1"))
    nobody = RESPONSE.scores(
        prediction,
        np.array([[0.0], [0.0]]),
        np.array([[False], [False]]),
        np.array([[0.0]]),
        np.array([[True]]),
    )
    assert all(math.isnan(value) for value in nobody.values())


def test_a_prediction_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="os is a survival task"):
        SURVIVAL.scores(
            LabelPrediction(np.zeros((1, 2))),
            np.array([[1.0, 1.0]]),
            np.array([[True, True]]),
            np.array([[1.0, 1.0]]),
            np.array([[True, True]]),
        )


def test_predictions_are_put_together_and_taken_apart() -> None:
    _, _, prediction = exponential_curves(10, 4)
    parts = [prediction.select(np.arange(4)), prediction.select(np.arange(10) >= 4)]
    again = concatenate(parts)
    assert isinstance(again, SurvivalPrediction)
    assert np.array_equal(again.risk, prediction.risk)
    assert np.array_equal(again.survival, prediction.survival)
    other = SurvivalPrediction(np.zeros(1), np.array([1.0]), np.ones((1, 1)))
    with pytest.raises(ValueError, match="same times"):
        concatenate([prediction, other])
    with pytest.raises(ValueError, match="same kind"):
        concatenate([LabelPrediction(np.ones((1, 2))), ClassPrediction(np.ones((1, 2)))])
    together = concatenate([LabelPrediction(np.ones((1, 2))), LabelPrediction(np.zeros((2, 2)))])
    assert isinstance(together, LabelPrediction)
    assert together.probability.shape == (3, 2)
