import numpy as np
import pytest
from scipy import stats

from common.calibration.likelihoods import Tally, binomial, poisson


def test_counts_that_are_known_have_their_law() -> None:
    tally, expected, share = Tally(7, 20, 5), np.array([3.0, 7.0]), np.array([0.2, 0.4])
    assert poisson(tally, expected) == pytest.approx(stats.poisson.logpmf(7, expected))
    assert binomial(tally, share) == pytest.approx(stats.binom.logpmf(7, 20, share))


def test_counts_that_are_kept_have_the_chance_of_too_few_with_or_without_events() -> None:
    tally, share = Tally(None, 20, 5), np.array([0.1, 0.5, 0.95])
    kept = [count for count in range(21) if count < 5 or count > 15]
    sums = stats.binom.pmf(np.array(kept)[:, None], 20, share).sum(axis=0)
    assert binomial(tally, share) == pytest.approx(np.log(sums))
    assert poisson(tally, np.array([4.0])) == pytest.approx(
        np.log(stats.poisson.cdf(4, 4) + stats.poisson.sf(15, 4))
    )


def test_a_false_minimum_count_costs_no_memory() -> None:
    assert np.isfinite(poisson(Tally(None, 10**9, 10**8), np.array([10.0]))).all()
