"""Accuracy over the patients who are left."""

import numpy as np
import pytest

from common.evaluation.predictions import SurvivalPrediction
from simulations.benchmarks.spoiling.coverage import SHARES, brier_of, risk_coverage
from tests.common.structure import made


def test_leaving_out_the_worst_lowers_the_brier_score() -> None:
    draw = np.random.default_rng(2)
    risk, wrong = draw.uniform(0.05, 0.95, 200), np.arange(200) >= 100
    happened = draw.random(200) < np.where(wrong, 1 - risk, risk)
    labels = np.stack([np.where(happened, 5.0, 20.0), happened], 1).astype(float)
    known = np.ones((200, 2), dtype=bool)
    prediction = SurvivalPrediction(risk, np.array([10.0, 20.0]), np.stack([1 - risk, 1 - risk], 1))
    (task,) = made.federation().tasks
    points = risk_coverage(task, prediction, labels, known, risk, 10.0, wrong.astype(float))
    assert [point.share for point in points] == list(SHARES)
    assert [point.patients for point in points] == [round(200 * share) for share in SHARES]
    scores = [point.brier for point in points]
    assert scores[0] == pytest.approx(np.mean((happened - risk) ** 2))
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert points[-1].concordance is not None
    assert points[-1].concordance > 0.6 > (points[0].concordance or 0.0)


def test_a_horizon_beyond_the_follow_up_has_no_score() -> None:
    labels = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert brier_of(labels, np.array([0.5, 0.5]), 9.0, np.array([0])) is None
