import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import spearmanr

from common.calibration.shapes import MOST_EVIDENCE, MOST_EXPECTED, SAME_SLOPE, SLOPES
from common.calibration.survival_sums import best_slope, own_calibration, recalibrated, reference
from common.evaluation.predictions import SurvivalPrediction
from tests.common.calibration.made_up import ENDS, made_up


def test_expected_events_are_the_cumulative_hazard_up_to_a_patient_s_time() -> None:
    prediction = SurvivalPrediction(np.zeros(3), np.array([10.0, 20.0]), np.full((3, 2), [0.8, 0.5]))
    time = np.array([10.0, 15.0, 99.0])
    own = own_calibration(prediction, time, np.array([True, False, True]))
    assert own.expected[:, SAME_SLOPE] == pytest.approx(-np.log([0.8, 0.65, 0.5]))
    assert own.events.tolist() == [1, 0, 0]  # the last event is behind the follow-up
    assert (own.evidence[1:] == 0).all()


def test_slope_one_has_no_evidence_beside_itself() -> None:
    patients = made_up(200, 0.0, 0)
    own = own_calibration(patients.prediction, patients.labels[:, 0], patients.labels[:, 1] > 0)
    assert np.abs(own.evidence[:, SAME_SLOPE]).max() < 1e-12


def test_numbers_of_a_patient_stay_within_the_limits_of_the_gate() -> None:
    rng = np.random.default_rng(1)
    survival = np.sort(rng.uniform(0, 1, (500, len(ENDS))), axis=1)[:, ::-1] ** rng.choice(
        [1e-6, 1, 50], (500, 1)
    )
    prediction = SurvivalPrediction(np.zeros(500), ENDS, survival)
    own = own_calibration(prediction, rng.uniform(0, 90, 500), rng.random(500) < 0.7)
    assert np.isfinite(own.expected).all()
    assert own.expected.min() >= 0
    assert own.expected.max() <= MOST_EXPECTED
    assert np.abs(own.evidence).max() <= MOST_EVIDENCE


@pytest.mark.parametrize("slope", [0.6, 1.0])
def test_the_slope_is_that_of_a_likelihood_maximised_by_another_program(slope: float) -> None:
    patients = made_up(4000, 0.3, 2, slope)
    time, event = patients.labels[:, 0], patients.labels[:, 1] > 0
    own = own_calibration(patients.prediction, time, event)
    best, gain = best_slope(
        np.array([own.events.sum()]), own.expected.sum(axis=0)[None], own.evidence.sum(axis=0)[None]
    )
    risk = np.log(-np.log(patients.prediction.survival[:, -1]))
    seen, died = np.minimum(time, ENDS[-1]), event & (time <= ENDS[-1])

    def loss(
        of: np.typing.NDArray[np.float64],
    ) -> float:  # exponential times with level and slope of the risk
        hazard = np.exp(of[0] + of[1] * risk)
        return float((hazard * seen).sum() - (np.log(hazard) * died).sum())

    assert SLOPES[best] == pytest.approx(minimize(loss, [-4.0, 1.0]).x[1], abs=0.12)
    assert SLOPES[best] == pytest.approx(slope, abs=0.21)
    assert (gain > 3.84) == (best != SAME_SLOPE)


def test_differences_between_hospitals_are_no_slope() -> None:
    hospitals = [made_up(600, level, seed) for seed, level in enumerate(np.linspace(-0.8, 0.8, 8))]
    sums = [own_calibration(h.prediction, h.labels[:, 0], h.labels[:, 1] > 0) for h in hospitals]
    best, _ = best_slope(
        np.array([own.events.sum() for own in sums]),
        np.stack([own.expected.sum(axis=0) for own in sums]),
        np.stack([own.evidence.sum(axis=0) for own in sums]),
    )
    assert best == SAME_SLOPE


@pytest.mark.parametrize("slope", SLOPES)
def test_a_moved_curve_falls_and_keeps_the_order_of_patients(slope: float) -> None:
    patients = made_up(50, 0.0, 3)
    moved = recalibrated(patients.prediction, 0.5, slope)
    assert (np.diff(moved.survival, axis=1) <= 0).all()
    for time in (3.0, 17.0, 60.0):
        before, after = patients.prediction.at([time])[:, 0], moved.at([time])[:, 0]
        assert spearmanr(before, after).statistic == pytest.approx(1)
    assert np.array_equal(moved.risk, patients.prediction.risk)


def test_a_level_multiplies_the_cumulative_hazard() -> None:
    patients = made_up(20, 0.0, 4)
    moved = recalibrated(patients.prediction, np.log(2), 1.0)
    assert np.log(moved.survival) == pytest.approx(2 * np.log(patients.prediction.survival))


def test_a_certain_curve_stays_finite() -> None:
    prediction = SurvivalPrediction(np.zeros(2), ENDS, np.stack([np.ones(12), np.zeros(12)]))
    for slope in SLOPES:
        assert np.isfinite(recalibrated(prediction, 1.0, slope).survival).all()


def test_intervals_hold_equal_shares_and_the_last_one_half() -> None:
    assert reference(4).tolist() == [0.25, 0.5, 0.75, 0.875]


def test_one_hospital_does_not_choose_the_slope_of_all() -> None:
    events, honest = np.full(4, 40.0), np.array([0.0, 1.0, 2.0, 1.5, 0.0])
    expected, evidence = np.full((4, len(SLOPES)), 40.0), np.tile(honest, (4, 1))
    best, gain = best_slope(events, expected, evidence)
    assert SLOPES[best] == 0.8
    assert gain > 0
    evidence[0] = [320.0, 0.0, 0.0, 0.0, 0.0]
    best, gain = best_slope(events, expected, evidence)
    assert (SLOPES[best], gain) == (0.4, 0.0)
    assert best_slope(events[:1], expected[:1], evidence[:1])[1] > 0
