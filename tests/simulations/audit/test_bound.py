import math

import numpy as np
import pytest
from scipy.stats import binom

from simulations.audit.bound import epsilon_bound, p_value


def reference(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Steinke, Nasr & Jagielski 2023, appendix D, in the paper's names and steps."""
    q = 1 / (1 + math.exp(-epsilon))
    beta = binom.sf(v - 1, r, q)
    alpha, total = 0.0, 0.0
    for i in range(1, v + 1):
        total = total + binom.pmf(v - i, r, q)
        if total > i * alpha:
            alpha = total / i
    return min(float(beta + alpha * delta * 2 * m), 1.0)


@pytest.mark.parametrize("correct", [0, 1, 40, 75, 99, 100])
@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.0), (0.5, 1e-5), (1.0, 1e-3), (8.0, 1e-3)])
def test_p_value_is_the_papers(correct: int, epsilon: float, delta: float) -> None:
    ours = p_value(200, 100, correct, epsilon, delta)
    assert ours == pytest.approx(reference(200, 100, correct, epsilon, delta), rel=1e-9, abs=1e-15)


def test_a_pure_bound_is_the_binomials_confidence_limit() -> None:
    # With delta 0, 95% of the binomial lies below: exp(e)/(1+exp(e)) is Clopper and Pearson's one-sided limit.
    from scipy.stats import beta

    limit = beta.ppf(0.05, 90, 11)
    assert epsilon_bound(100, 100, 90, 0.0) == pytest.approx(math.log(limit / (1 - limit)), abs=1e-3)


def test_more_right_guesses_refute_more_and_a_larger_delta_explains_more() -> None:
    bounds = [epsilon_bound(200, 100, right, 1e-3) for right in range(50, 101, 5)]
    assert bounds == sorted(bounds)
    assert bounds[0] == 0
    assert bounds[-1] > 2.5
    assert epsilon_bound(200, 100, 90, 1e-5) > epsilon_bound(200, 100, 90, 1e-3)


def test_randomised_response_is_refuted_no_more_often_than_the_confidence_allows() -> None:
    # The mechanism that is exactly epsilon-private and gives away the most.
    rng = np.random.default_rng(0)
    epsilon, canaries, runs = 1.0, 200, 2000
    right = rng.binomial(canaries, 1 / (1 + math.exp(-epsilon)), size=runs)
    refuted = np.mean([p_value(canaries, canaries, int(each), epsilon, 0.0) <= 0.05 for each in right])
    assert 0.02 < refuted < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_impossible_counts_are_refused() -> None:
    for canaries, guesses, correct in ((100, 50, 51), (100, 101, 50)):
        with pytest.raises(ValueError):
            p_value(canaries, guesses, correct, 1.0, 0.0)
