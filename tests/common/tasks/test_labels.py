"""Faults of label columns: cells that are neither 0 nor 1, and times in another unit than agreed."""

import numpy as np
import pytest

from common.tasks.labels import DAYS, binary_problems, likely_time_unit, typical_times, unit_warnings

TYPICAL = (400.0, 2500.0)


def lognormal(low: float, high: float, events: int, seed: int) -> np.ndarray:
    """Times of which two thirds lie between low and high."""
    mean, deviation = np.log([low, high]).mean(), np.log(high / low) / 2
    return np.exp(np.random.default_rng(seed).normal(mean, deviation, events))


def test_a_cell_that_is_neither_0_nor_1_is_a_problem_whose_remedy_says_what_each_means() -> None:
    assert binary_problems("died", np.array([0.0, 1.0, np.nan])) == []
    for wrong in (2.0, 0.5, -1.0):
        (problem,) = binary_problems("died", np.array([0.0, wrong]))
        assert problem.column == "died"
        assert not problem.is_warning
        assert "1 for an event" in problem.remedy
        assert "0 for none" in problem.remedy


@pytest.mark.parametrize("unit", ["days", "months", "years"])
@pytest.mark.parametrize("seed", range(20))
def test_times_in_the_unit_agreed_on_are_no_matter_of_a_word(unit: str, seed: int) -> None:
    low, high = (time / DAYS[unit] for time in TYPICAL)
    times = lognormal(low, high, 15, seed)
    assert unit_warnings("time", times, unit, (low, high), 9000 / DAYS[unit]) == []


@pytest.mark.parametrize(("asked", "given"), [("days", "months"), ("days", "years"), ("months", "years")])
@pytest.mark.parametrize("seed", range(20))
def test_times_in_a_longer_unit_are_named_with_both_units(asked: str, given: str, seed: int) -> None:
    times = lognormal(*TYPICAL, 15, seed) / DAYS[given]
    low, high = (time / DAYS[asked] for time in TYPICAL)
    (warning,) = unit_warnings("time", times, asked, (low, high), 9000 / DAYS[asked])
    assert (warning.column, warning.is_warning) == ("time", True)
    assert asked in warning.remedy
    assert f"in {given}" in warning.what


def test_without_a_typical_range_the_longest_follow_up_gives_one() -> None:
    low, high = typical_times(9000.0)
    assert 0 < low < high < 9000
    days = lognormal(low, high, 200, 0)
    assert unit_warnings("time", days, "days", None, 9000.0) == []
    assert len(unit_warnings("time", days / DAYS["months"], "days", None, 9000.0)) == 1


def test_few_events_tell_nothing_of_a_unit() -> None:
    assert unit_warnings("time", np.full(9, 1.0), "days", TYPICAL, 9000.0) == []
    assert unit_warnings("time", np.full(20, np.nan), "days", TYPICAL, 9000.0) == []


def test_early_events_that_fit_no_unit_are_left_alone() -> None:
    assert unit_warnings("time", np.full(20, 0.0), "days", TYPICAL, 9000.0) == []


def test_a_cohort_that_nobody_is_followed_in_for_long_enough_is_named_with_its_unit() -> None:
    """Times in years where months are asked for keep within the plausible range."""
    everyone = np.linspace(0.2, 8.5, 60)
    events = everyone[::2]
    assert likely_time_unit(events, "months", None, 300.0, everyone) == "years"
    assert likely_time_unit(events * 12, "months", None, 300.0, everyone * 12) is None
    assert likely_time_unit(events * 4, "months", None, 300.0, everyone * 4) is None, (
        "a disease with short survival"
    )
