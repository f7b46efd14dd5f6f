import numpy as np
import pytest

from common.intervals.shapes import STEPS
from common.intervals.steps import EDGES, cumulative, merged_steps


@pytest.mark.parametrize("least", [1, 2, 5, 12])
def test_every_step_has_the_minimum_count_and_nothing_is_lost(least: int) -> None:
    rng = np.random.default_rng(least)
    scores = rng.beta(1, 3, 60)
    counts = merged_steps(scores, np.ones(60), least)
    assert counts.sum() == 60
    assert counts[counts > 0].min() >= least


def test_fewer_than_the_minimum_count_give_nothing() -> None:
    assert not merged_steps(np.full(4, 0.3), np.ones(4), 5).any()
    assert not merged_steps(np.zeros(0), np.zeros(0), 1).any()


def test_single_patients_give_the_empirical_distribution() -> None:
    rng = np.random.default_rng(0)
    scores, weights = rng.random(200), rng.uniform(1, 4, 200)
    below = cumulative(merged_steps(scores, weights, 1), 1)
    exact = np.array([weights[scores < edge].sum() for edge in EDGES])
    assert below == pytest.approx(exact)


def test_merged_steps_give_the_distribution_without_bias() -> None:
    rng = np.random.default_rng(1)
    edges = np.flatnonzero((EDGES > 0.05) & (EDGES < 0.3))
    error = []
    for _ in range(300):
        scores = rng.random(40)
        error.append(cumulative(merged_steps(scores, np.ones(40), 5), 5)[edges] / 40 - EDGES[edges])
    assert np.abs(np.mean(error, axis=0)).max() < 0.015


def test_a_score_of_one_is_in_the_last_step() -> None:
    assert merged_steps(np.ones(3), np.ones(3), 1)[STEPS - 1] == 3
