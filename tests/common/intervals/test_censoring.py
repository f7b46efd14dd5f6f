import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from numpy.typing import NDArray

from common.intervals.censoring import censoring_of, parts_of, pooled_hazard, uncensored

ENDS = np.array([2.0, 4.0, 8.0, 16.0, 32.0])


def patients(number: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    event, lost = rng.exponential(20, number), rng.exponential(15, number)
    return np.minimum(event, lost), event <= lost


def test_intervals_are_divided_into_equal_parts() -> None:
    assert parts_of(np.array([4.0, 12.0])).tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("least", [1, 5])
def test_pooled_hazard_gives_the_kaplan_meier_curve_of_being_uncensored(least: int) -> None:
    parts = parts_of(ENDS)
    hospitals = [patients(150, seed) for seed in range(8)]
    sums = [censoring_of(parts, time, event, least) for time, event in hospitals]
    hazard = pooled_hazard(np.stack([s[0] for s in sums]), np.stack([s[1] for s in sums]))
    time, event = (np.concatenate(part) for part in zip(*hospitals, strict=True))
    curve = KaplanMeierFitter().fit(time, ~event)
    seen = (time > 1) & (time < 25)
    made = uncensored(parts, hazard, time, event)
    assert made[seen] == pytest.approx(np.asarray(curve.predict(time[seen])), abs=0.05)


def test_every_part_has_the_minimum_count_of_censored_patients() -> None:
    time, event = patients(60, 0)
    censored, seen = censoring_of(parts_of(ENDS), time, event, 5)
    assert censored[censored > 0].min() >= 5
    assert (seen[censored == 0] == 0).all()
    few = censoring_of(parts_of(ENDS), np.arange(1.0, 5.0), np.zeros(4, dtype=np.bool_), 5)
    assert not any(sums.any() for sums in few)


def test_a_hospital_that_loses_nobody_weighs_less() -> None:
    parts = parts_of(ENDS)
    time = np.full(200, 20.0)
    hazard = np.full(len(parts), 0.05)
    nobody = uncensored(parts, hazard, time, np.ones(200, dtype=np.bool_))
    everybody = uncensored(parts, hazard, time, np.zeros(200, dtype=np.bool_))
    assert nobody[0] > 0.9 > everybody[0]


def test_weights_are_at_most_twenty() -> None:
    made = uncensored(parts_of(ENDS), np.full(20, 3.0), np.full(1, 30.0), np.zeros(1, dtype=np.bool_))
    assert made == pytest.approx([0.05])


def test_nobody_censored_is_no_hazard() -> None:
    assert not pooled_hazard(np.zeros((2, 20)), np.zeros((2, 20))).any()


@pytest.mark.parametrize("number", [12, 20, 33, 60])
def test_no_few_patients_are_left_without_an_event(number: int) -> None:
    for seed in range(40):
        time, event = patients(number, seed)
        censored, _ = censoring_of(parts_of(ENDS), time, event, 5)
        happened = event & (time < ENDS[-1])
        left = number - happened.sum() - censored.sum()
        assert left == 0 or left >= 5 or not censored.any()
