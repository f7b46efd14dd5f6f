"""Figures of hand-made predictions, worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from simulations.experiment.scoring import compare_arms, score_divisions, score_own
from simulations.families.patients.held_out import HeldOutTask

RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
SURVIVAL = SurvivalTask(name="survival", time="t", event="e", unit="months", longest=100)
TOXICITY = ToxicityTask(name="toxicity", labels=("rash", "nausea"))
TRUTH = (0, 0, 1, 1)
THREE_OF_FOUR = (0.1, 0.4, 0.35, 0.8)
"""One of the four pairs of a responder and another is the wrong way round: AUROC 0.75."""
PERFECT, REVERSED = (0.1, 0.2, 0.8, 0.9), (0.9, 0.8, 0.2, 0.1)


def yes(*probabilities: float) -> Prediction:
    column = np.array(probabilities)
    return ClassPrediction(np.stack([1 - column, column], axis=1))


def fold(
    arms: dict[str, Sequence[Prediction]],
    truth: Sequence[int] = TRUTH,
    groups: Sequence[str] | None = None,
    unknown: Sequence[int] = (),
) -> HeldOutTask:
    labels = np.array(truth, dtype=np.float64)[:, None]
    labelled: NDArray[np.bool_] = np.ones_like(labels, dtype=np.bool_)
    labelled[list(unknown)] = False
    return HeldOutTask(
        RESPONSE, labels, labelled, labels, labelled, tuple(groups or ["all"] * len(truth)), arms
    )


def test_mean_and_deviation_are_over_folds() -> None:
    arms, _ = compare_arms(
        "auroc", [fold({"federated": [yes(*p)]}) for p in (THREE_OF_FOUR, PERFECT, REVERSED)], seed=0
    )
    auroc = arms["federated"]["auroc"]
    assert auroc.per_fold == pytest.approx((0.75, 1.0, 0.0))
    assert auroc.mean == pytest.approx(1.75 / 3)
    assert auroc.sd == pytest.approx(np.std([0.75, 1.0, 0.0], ddof=1))
    # at 1/2 the first fold calls one responder of two, and nobody else
    assert arms["federated"]["accuracy"].per_fold == pytest.approx((0.75, 1.0, 0.0))
    assert arms["federated"]["accuracy"].interval == (None, None), "only the headline metric has one"
    assert set(arms["federated"]) == {"auroc", "auprc", "accuracy", "precision", "recall", "f1"}


def test_folds_are_never_ranked_against_one_another() -> None:
    # together the eight patients would be ranked wrongly: the second fold's model gives everyone more
    low = fold({"federated": [yes(0.01, 0.02, 0.03, 0.04)]})
    high = fold({"federated": [yes(0.91, 0.92, 0.93, 0.94)]})
    arms, _ = compare_arms("auroc", [low, high], seed=0)
    assert arms["federated"]["auroc"].mean == 1.0
    assert arms["federated"]["auroc"].interval == (1.0, 1.0)


def test_a_subgroup_of_few_held_out_patients_has_no_figure() -> None:
    truth, groups = [0, 1] * 10, ["a"] * 4 + ["b"] * 10 + ["c"] * 6
    held = fold({"federated": [yes(*(float(outcome) for outcome in truth))]}, groups=groups, truth=truth)
    federated = compare_arms("auroc", [held], seed=0)[0]["federated"]
    assert federated["auroc"].groups == {"b": 1.0}, "c has three of an outcome"
    assert federated["accuracy"].groups == {"b": 1.0, "c": 1.0}, "which an accuracy needs not"


def test_subgroups_are_scored_alone_and_averaged_over_folds_that_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulations.experiment.scoring.SMALLEST_GROUP", 1)
    first = fold({"federated": [yes(0.3, 0.4, 0.2, 0.8)]}, groups=("a", "b", "a", "b"))
    second = fold({"federated": [yes(*PERFECT)]}, groups=("a", "c", "a", "c"))
    arms, _ = compare_arms("auroc", [first, second], seed=0)
    # in the first fold: a has 0.3 (no) above 0.2 (yes); b has 0.4 (no) below 0.8 (yes)
    assert arms["federated"]["auroc"].groups == {"a": 0.5, "b": 1.0, "c": 1.0}


def test_hospitals_alone_are_the_mean_over_their_models() -> None:
    held = fold({"federated": [yes(*PERFECT)], "local": [yes(*PERFECT), yes(*THREE_OF_FOUR), yes(*REVERSED)]})
    arms, differences = compare_arms("auroc", [held], seed=0)
    assert arms["local"]["auroc"].per_fold == pytest.approx(((1.0 + 0.75 + 0.0) / 3,))
    assert differences["local"].difference == pytest.approx(1.0 - 1.75 / 3)


def test_a_fold_without_two_outcomes_is_left_out_of_the_mean() -> None:
    folds = [
        fold({"federated": [yes(*THREE_OF_FOUR)]}),
        fold({"federated": [yes(*PERFECT)]}, truth=(0, 0, 0, 0)),
        fold({"federated": [yes(*PERFECT)]}),
    ]
    arms, _ = compare_arms("auroc", folds, seed=0)
    auroc = arms["federated"]["auroc"]
    assert auroc.per_fold == (0.75, None, 1.0)
    assert auroc.mean == pytest.approx(0.875)
    assert auroc.sd == pytest.approx(np.std([0.75, 1.0], ddof=1))


def test_a_model_without_a_score_is_left_out_of_its_arm() -> None:
    everywhere = fold({"federated": [yes(*PERFECT)]}, truth=(1, 1, 1, 1))
    arms, differences = compare_arms("auroc", [everywhere], seed=0)
    assert arms["federated"]["auroc"].mean is None
    assert arms["federated"]["auroc"].interval == (None, None)
    assert differences == {}


def test_an_unlabelled_patient_does_not_count() -> None:
    held = fold({"federated": [yes(*THREE_OF_FOUR)]}, unknown=[1])
    assert compare_arms("auroc", [held], seed=0)[0]["federated"]["auroc"].mean == 1.0


def test_an_arm_missing_in_one_fold_is_not_compared() -> None:
    first = fold({"federated": [yes(*PERFECT)], "local": [yes(*PERFECT)], "pooled": [yes(*PERFECT)]})
    second = fold({"federated": [yes(*PERFECT)], "local": [], "pooled": [yes(*REVERSED)]})
    arms, differences = compare_arms("auroc", [first, second], seed=0)
    assert set(arms) == {"federated", "pooled"}
    assert set(differences) == {"pooled"}
    assert differences["pooled"].difference == pytest.approx(0.5)


def random_folds(folds: int, patients: int) -> list[HeldOutTask]:
    draw = np.random.default_rng(5)
    held = []
    for _ in range(folds):
        truth = draw.integers(2, size=patients)
        better = yes(*(0.25 + 0.3 * truth + 0.2 * draw.random(patients)))
        worse = yes(*(0.2 + 0.2 * truth + 0.6 * draw.random(patients)))
        held.append(fold({"federated": [better], "pooled": [better], "local": [worse]}, truth=truth.tolist()))
    return held


def test_differences_are_taken_over_the_same_drawn_patients() -> None:
    arms, differences = compare_arms("auroc", random_folds(2, 30), seed=3)
    alike = differences["pooled"]
    assert (alike.difference, alike.low, alike.high) == (0.0, 0.0, 0.0)
    local = differences["local"]
    assert None not in (local.difference, local.low, local.high)
    assert local.difference == pytest.approx(arms["federated"]["auroc"].mean - arms["local"]["auroc"].mean)  # type: ignore[operator]
    assert 0 < local.low < local.difference < local.high  # type: ignore[operator]


def test_an_interval_holds_the_middle_of_redrawn_means_over_folds() -> None:
    folds = random_folds(2, 30)
    low, high = compare_arms("auroc", folds, seed=3)[0]["local"]["auroc"].interval
    means = []
    draw = np.random.default_rng(3)
    for _ in range(200):
        rows = draw.integers(60, size=60)
        scores = [folds[0].headline(folds[0].arms["local"][0], rows[rows < 30])]
        scores.append(folds[1].headline(folds[1].arms["local"][0], rows[rows >= 30] - 30))
        means.append(np.mean(scores))
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_the_same_seed_draws_the_same_patients() -> None:
    one, same, other = (compare_arms("auroc", random_folds(1, 30), seed) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_survival_is_scored_by_concordance() -> None:
    labels = np.array([[1.0, 1.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0]])
    times = np.array([1.5, 3.5])
    curves = np.array([[0.1, 0.0], [0.9, 0.8], [0.8, 0.4], [0.9, 0.6]])
    prediction = SurvivalPrediction(np.array([4.0, 1.0, 2.0, 3.0]), times, curves)
    known = np.ones_like(labels, dtype=np.bool_)
    held = HeldOutTask(SURVIVAL, labels, known, labels, known, ("all",) * 4, {"federated": [prediction]})
    arms, _ = compare_arms("c_index", [held], seed=0)
    # comparable: (0,1) (0,2) (0,3) (2,3); the last is the wrong way round
    assert arms["federated"]["c_index"].mean == 0.75
    brier = arms["federated"]["integrated_brier"].mean
    assert brier is not None
    assert 0 < brier < 0.25


def test_toxicity_is_the_mean_over_adverse_events() -> None:
    labels = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    known = np.ones_like(labels, dtype=np.bool_)
    prediction = LabelPrediction(np.stack([THREE_OF_FOUR, (0.1, 0.9, 0.2, 0.8)], axis=1))
    held = HeldOutTask(TOXICITY, labels, known, labels, known, ("all",) * 4, {"federated": [prediction]})
    assert compare_arms("auroc", [held], seed=0)[0]["federated"]["auroc"].mean == pytest.approx(
        (0.75 + 1) / 2
    )


def test_a_hospitals_own_models_are_compared_in_the_folds_that_have_one() -> None:
    folds = [fold({"federated": [yes(*PERFECT)]}), fold({"federated": [yes(*REVERSED)]})]
    alone, bounds, gain = score_own(folds, [yes(*THREE_OF_FOUR), None], seed=0)
    assert alone == pytest.approx(0.75)
    assert bounds[0] < 0.75 <= bounds[1]  # type: ignore[operator]
    assert gain is not None
    assert gain.difference == pytest.approx(0.25), "the fold without an own model has no part"
    assert gain.low is not None
    assert gain.low >= 0
    assert score_own(folds, [yes(*THREE_OF_FOUR), None], seed=None)[1] == (None, None)
    assert score_own(folds, [None, None], seed=0) == (None, (None, None), None)


def test_a_group_has_an_interval_of_every_arm_that_is_shown_beside_the_federated() -> None:
    truth = [0, 1] * 5
    models = {arm: [yes(*(0.2 + 0.05 * number for number in range(10)))] for arm in ("federated", "logistic")}
    held = fold({**models, "mlp": models["logistic"]}, truth=truth)
    divided = HeldOutTask(**{**vars(held), "divisions": {"hospital": ["north"] * 10}})
    north = score_divisions([divided], seed=0)["hospital"]["north"]
    assert (north.patients, north.events) == (10, 5)
    few = fold({**models}, truth=[0] * 6 + [1] * 4)
    divided = HeldOutTask(**{**vars(few), "divisions": {"hospital": ["north"] * 10}})
    north_of_few = score_divisions([divided], seed=0)["hospital"]["north"]
    assert (north_of_few.events, north_of_few.scores) == (4, {}), "too few of an outcome"
    both = score_divisions([divided, divided], seed=0)["hospital"]["north"]
    assert (both.patients, both.events) == (20, 8)
    assert both.scores["federated"] == 1.0
    assert set(north.intervals) == {"logistic"}
    assert north.intervals["logistic"] == north.interval
