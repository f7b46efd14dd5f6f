import math
import time

import numpy as np
import pytest

from common.evaluation.bootstrap import Indices, percentile_interval, replicate
from common.evaluation.survival import c_index


def test_interval_of_a_mean_is_the_textbook_one() -> None:
    sample = np.random.default_rng(0).normal(3, 2, 400)
    low, high = percentile_interval(
        replicate(lambda drawn: float(sample[drawn].mean()), 400, seed=1, replicates=2000)
    )
    half = 1.96 * sample.std() / 20
    assert (low, high) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.03)


def test_a_lower_level_is_narrower_and_a_seed_repeats() -> None:
    sample = np.random.default_rng(0).normal(size=100)

    def mean(drawn: Indices) -> float:
        return float(sample[drawn].mean())

    wide, narrow = (percentile_interval(replicate(mean, 100, seed=3), level) for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert percentile_interval(replicate(mean, 100, seed=3)) == wide
    assert percentile_interval(replicate(mean, 100, seed=4)) != wide


def test_a_constant_difference_is_certain_because_a_seed_draws_the_same_patients() -> None:
    sample = np.random.default_rng(0).normal(size=50)
    more = replicate(lambda drawn: float(sample[drawn].mean()) + 0.25, 50, seed=0)
    less = replicate(lambda drawn: float(sample[drawn].mean()), 50, seed=0)
    assert percentile_interval(more - less) == pytest.approx((0.25, 0.25))


def test_undefined_replicates_are_left_out() -> None:
    rare = np.zeros(20)
    rare[0] = 1.0

    def where_defined(drawn: Indices) -> float:
        return 0.7 if rare[drawn].any() else math.nan

    assert percentile_interval(replicate(where_defined, 20, seed=0)) == (0.7, 0.7)
    assert all(math.isnan(end) for end in percentile_interval(replicate(lambda drawn: math.nan, 20, seed=0)))


def test_a_c_index_of_570_patients_takes_seconds_at_most() -> None:
    generator = np.random.default_rng(0)
    times, event, risk = generator.exponential(size=570), generator.random(570) < 0.4, generator.random(570)
    start = time.perf_counter()
    low, high = percentile_interval(
        replicate(lambda drawn: c_index(times[drawn], event[drawn], risk[drawn]), 570, seed=0)
    )
    assert time.perf_counter() - start < 5
    assert low < 0.5 < high
