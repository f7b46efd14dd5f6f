import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.evaluation.predictions import LabelPrediction, SurvivalPrediction
from common.tasks.survival import SurvivalTask
from common.tasks.task import Lack, PredictionMismatch

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300)


BINS = 4


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


def test_a_prediction_of_another_kind_is_refused() -> None:
    with pytest.raises(PredictionMismatch) as refused:
        SURVIVAL.scores(
            LabelPrediction(np.zeros((1, 2))),
            np.array([[1.0, 1.0]]),
            np.array([[True, True]]),
            np.array([[1.0, 1.0]]),
            np.array([[True, True]]),
        )
    assert (refused.value.task, refused.value.kind) == ("os", "survival")
    assert refused.value.prediction == "LabelPrediction"


def test_survival_is_learned_from_times_only_if_somebody_has_an_event() -> None:
    labels = torch.tensor([[3.0, 0.0], [5.0, 1.0], [8.0, 0.0]])
    labelled = torch.ones(3, 2, dtype=torch.bool)
    assert SURVIVAL.lack(labels, labelled) is None
    labelled[1] = False
    assert SURVIVAL.lack(labels, labelled) is Lack.EVENTS
    assert SURVIVAL.lack(labels, ~labelled & False) is Lack.LABELS
