"""Lower bound on epsilon from one training run.

It is theorem 5.2 and appendix D of Steinke, Nasr & Jagielski (2023, NeurIPS).

Each of m canaries is in the training data by its own fair coin. From the releases of the run an attacker guesses for r
of them, known beforehand or not, whether they were in, and is right v times. If the run is (epsilon, delta)-private
for one patient more or less, then with W ~ Binomial(r, 1 / (1 + exp(-epsilon)))

    P[at least v right] <= P[W >= v] + 2 m delta max_{i = 1..v} P[v - i <= W < v] / i,

whatever the attacker does: with delta 0 no guess is right more often than randomised response allows, and delta can
spoil guesses only with small probability. An epsilon for which the right side is below 5% is refuted at 95%
confidence, and so is every smaller one, for which the claim would be stronger.
"""

import numpy as np
from scipy.stats import binom

CONFIDENCE = 0.95


_LARGEST = 50.0


_TOLERANCE = 1e-4


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Largest probability that (epsilon, delta) leaves to `correct` or more right guesses.

    Raises:
        ValueError: unless 0 <= correct <= guesses <= canaries.
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError("there cannot be more right guesses than guesses, or more guesses than canaries")
    right = 1 / (1 + np.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, right))
    if correct == 0:
        return 1.0
    fewer = np.arange(1, correct + 1)
    between = np.cumsum(binom.pmf(correct - fewer, guesses, right))
    return min(1.0, beta + 2 * canaries * delta * float((between / fewer).max()))


def epsilon_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = CONFIDENCE
) -> float:
    """Largest epsilon that so many right guesses refute at `delta`; 0 if they refute none."""
    low, high = 0.0, _LARGEST
    if p_value(canaries, guesses, correct, low, delta) > 1 - confidence:
        return 0.0
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        if p_value(canaries, guesses, correct, middle, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low
