import numpy as np

from common.evaluation.moments import mean_and_deviation


def test_moments_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(40, 2))
    mean, deviation = mean_and_deviation(np.stack([np.full(2, 40.0), values.sum(0), (values**2).sum(0)]))
    np.testing.assert_allclose(mean, values.mean(0))
    np.testing.assert_allclose(deviation, values.std(0))


def test_nobody_has_mean_and_deviation_zero() -> None:
    mean, deviation = mean_and_deviation(np.zeros((3, 1)))
    assert (mean.tolist(), deviation.tolist()) == ([0], [0])
