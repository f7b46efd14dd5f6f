import math

import numpy as np
import pytest
from numpy.typing import NDArray

from common.evaluation import survival as metrics
from common.evaluation.predictions import SurvivalPrediction
from common.tasks.survival import SurvivalTask

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300)


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


def test_a_diverged_risk_has_no_c_index() -> None:
    assert math.isnan(metrics.c_index(np.array([1.0, 2.0]), np.array([True, True]), np.array([np.nan, 0.0])))


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
