import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from simulations.benchmarks.intervals.coverage import FEW, coverage, uncensored_before
from simulations.benchmarks.intervals.held_out import JudgedPatients
from simulations.benchmarks.intervals.methods import conformal, dropped, own, taken_for_events
from tests.common.calibration.made_up import SURVIVAL, made_up


def patients(level: float = 0.6, number: int = 1200) -> JudgedPatients:
    made = made_up(number, level, 0)
    hospital = np.array([f"hospital {row % 6}" for row in range(number)])
    return JudgedPatients(SURVIVAL, made.prediction, made.labels, hospital)


def test_the_product_holds_what_it_should_and_the_mistakes_do_not() -> None:
    judged = patients()
    held = {
        method.__name__: coverage(method.__name__, method, judged, 6, 0)[1].held
        for method in (own, dropped, taken_for_events)
    }
    product = coverage("conformal", conformal(5), judged, 6, 0)[1]
    assert product.held == pytest.approx(0.9, abs=0.02)
    assert held["own"] < 0.87
    assert held["dropped"] > 0.93
    assert held["taken_for_events"] > 0.95


def test_hospitals_with_enough_events_are_judged_apart() -> None:
    figures = coverage("conformal", conformal(5), patients(), 4, 0)[1]
    assert figures.judged == 6
    assert figures.worst is not None
    assert 0.8 < figures.worst <= figures.held + 0.02
    few = coverage("own", own, patients(number=6 * (FEW - 5)), 2, 0)[1]
    assert (few.judged, few.worst) == (0, None)


def test_the_probability_of_being_uncensored_is_that_of_kaplan_and_meier_before_the_time() -> None:
    made = made_up(300, 0.0, 3)
    time, event = made.labels[:, 0], made.labels[:, 1] > 0
    curve = KaplanMeierFitter().fit(time, ~event)
    exact = np.asarray(curve.predict(np.nextafter(time, 0))).clip(0.05)
    assert uncensored_before(time, event) == pytest.approx(exact)
