"""Coverage on made-up patients with known times, beside the two usual mistakes, which fail."""

import numpy as np
import pytest

from common.intervals.censoring import pooled_hazard
from common.intervals.fitting import SiteSteps, fit_thresholds
from common.intervals.making import table_of
from common.intervals.scores import lower_bound, of_times
from common.intervals.task_sums import censoring, steps
from common.release.interval_table import LEVELS
from tests.common.calibration.made_up import SURVIVAL, Array, MadeUp, made_up


def thresholds(hospitals: dict[str, MadeUp], least: int) -> dict[str, tuple[float, ...]]:
    lost = [censoring(one.prediction.times, one.labels, one.labelled, least) for one in hospitals.values()]
    hazard = pooled_hazard(*(np.stack([sums[kind] for sums in lost]) for kind in ("censored", "seen")))
    sums = {
        name: {
            f"survival.{kind}": values
            for kind, values in steps(
                SURVIVAL, one.prediction, one.labels, one.labelled, hazard, least
            ).items()
        }
        for name, one in hospitals.items()
    }
    made = table_of([SURVIVAL], sums).tasks["survival"]["event"]
    return {name: made.at(name) for name in (*hospitals, "stranger")}


def held(fresh: MadeUp, threshold: float) -> float:
    """Share of patients whose true time exceeds the bound, which is the end of the curves at most."""
    return float((fresh.times >= lower_bound(fresh.prediction, threshold)).mean())


@pytest.mark.parametrize("least", [1, 5])
@pytest.mark.parametrize("level", [-0.6, 0.0, 0.6])
def test_bounds_hold_true_times_whatever_the_model_says(level: float, least: int) -> None:
    shares = []
    for repeat in range(12):
        hospitals = {f"h{number}": made_up(60, level, 100 * repeat + number) for number in range(6)}
        fresh = made_up(4000, level, 90_000 + repeat)
        made = thresholds(hospitals, least)["stranger"]
        shares.append([held(fresh, threshold) for threshold in made])
    assert np.mean(shares, axis=0) == pytest.approx(LEVELS, abs=0.02)


def test_a_model_that_is_off_misses_by_its_own_curve() -> None:
    assert held(made_up(20_000, 0.6, 1), 0.1) < 0.85


def quantile(scores: Array) -> float:
    return float(np.sort(scores)[int(0.1 * (len(scores) + 1)) - 1])


def test_dropping_the_censored_gives_a_useless_bound() -> None:
    patients, fresh = made_up(4000, 0.0, 2), made_up(20_000, 0.0, 3)
    event = patients.labels[:, 1] > 0
    scores = of_times(patients.prediction, patients.labels[:, 0])
    assert held(fresh, quantile(scores[event])) > 0.94


def test_taking_their_time_for_that_of_an_event_is_worse_still() -> None:
    patients, fresh = made_up(4000, 0.0, 2), made_up(20_000, 0.0, 3)
    scores = of_times(patients.prediction, patients.labels[:, 0])
    right = thresholds({"one": patients}, 5)["one"][1]
    assert held(fresh, quantile(scores)) > 0.96
    bounds = [np.median(lower_bound(fresh.prediction, threshold)) for threshold in (quantile(scores), right)]
    assert bounds[0] < bounds[1] / 3


def test_a_hospital_of_its_own_level_is_held_too() -> None:
    hospitals = {f"h{number}": made_up(400, 0.0, number) for number in range(6)}
    hospitals |= {"worse": made_up(400, 0.8, 50)}
    made = thresholds(hospitals, 5)
    fresh = made_up(20_000, 0.8, 60)
    assert held(fresh, made["stranger"][1]) < 0.85
    assert held(fresh, made["worse"][1]) > 0.87


def test_a_hospital_with_few_events_has_the_pooled_threshold() -> None:
    hospitals = {f"h{number}": made_up(300, 0.0, number) for number in range(4)} | {
        "small": made_up(20, 1.0, 9)
    }
    made = thresholds(hospitals, 5)
    assert made["small"] == made["stranger"]
    assert made["h0"] != made["stranger"]


def test_with_too_few_patients_there_is_no_bound_but_zero() -> None:
    few = {"one": SiteSteps(8, 1, 3, np.bincount([10, 20, 30], minlength=150).astype(np.float64))}
    assert fit_thresholds(few, (0.9,)).pooled.tolist() == [0.0]


def test_hospitals_that_keep_few_events_leave_the_bound_on_the_safe_side() -> None:
    shares = []
    for repeat in range(20):
        hospitals = {
            f"h{number}": made_up(14, 0.0, 1000 * repeat + number, censored_after=100) for number in range(30)
        }
        made = thresholds(hospitals, 5)["stranger"]
        shares.append([held(made_up(3000, 0.0, 77 + repeat), threshold) for threshold in made])
    above = np.mean(shares, axis=0) - LEVELS
    assert (above > -0.01).all()
    assert (above < 0.08).all()


def steps_of(patients: int, events: int, seed: int) -> SiteSteps:
    scores = np.random.default_rng(seed).integers(0, 150, events)
    return SiteSteps(patients, 1, events, np.bincount(scores, minlength=150).astype(np.float64))


@pytest.mark.parametrize("events", [1, 60])
def test_one_of_eight_hospitals_draws_the_bounds_of_the_others_neither_to_zero_nor_far_up(
    events: int,
) -> None:
    honest = {f"h{number}": steps_of(60, 40, number) for number in range(7)}
    alone = fit_thresholds(honest, LEVELS).pooled
    for place, patients in ((0, 60), (149, 60), (0, 180)):
        weights = np.zeros(150)
        weights[place] = 20.0 * patients
        poisoned = fit_thresholds(honest | {"liar": SiteSteps(patients, 1, events, weights)}, LEVELS)
        for thresholds in (poisoned.pooled, poisoned.hospitals["h3"]):
            assert (thresholds > 0.4 * alone).all()
            assert (thresholds < 1.35 * alone).all()


def test_no_honest_hospital_is_limited_and_two_have_no_others_to_be_held_against() -> None:
    honest = {f"h{number}": steps_of(60, 40, number) for number in range(6)}
    whole = sum(site.steps.sum() for site in honest.values())
    assert whole == 240
    shares = np.concatenate([[0.0], sum(site.steps for site in honest.values()).cumsum()])  # type: ignore[union-attr]
    expected = [np.interp(1 - level, (shares + 1) / 361, np.arange(151) / 150) for level in LEVELS]
    assert fit_thresholds(honest, LEVELS).pooled == pytest.approx(expected, abs=0.01)
    early = SiteSteps(60, 1, 40, np.bincount([0] * 40, minlength=150).astype(np.float64))
    assert fit_thresholds({"one": early, "two": steps_of(60, 40, 1)}, (0.9,)).pooled[0] < 0.01
