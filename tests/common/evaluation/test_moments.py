import numpy as np
import pytest

from common.evaluation.moments import are_possible, mean_and_deviation


def test_moments_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(40, 2))
    mean, deviation = mean_and_deviation(np.stack([np.full(2, 40.0), values.sum(0), (values**2).sum(0)]))
    np.testing.assert_allclose(mean, values.mean(0))
    np.testing.assert_allclose(deviation, values.std(0))


def test_nobody_has_mean_and_deviation_zero() -> None:
    mean, deviation = mean_and_deviation(np.zeros((3, 1)))
    assert (mean.tolist(), deviation.tolist()) == ([0], [0])


@pytest.mark.parametrize("ends", [(-2.0, 5.0), (-np.inf, np.inf), (-2.0, np.inf)])
@pytest.mark.parametrize("kind", ["normal", "at the ends", "constant", "nobody"])
def test_sums_of_values_within_their_ends_are_possible(ends: tuple[float, float], kind: str) -> None:
    draw = np.random.default_rng(1)
    for patients in range(1, 60):
        values = {
            "normal": draw.normal(1, 2, size=patients).clip(-2, 5),
            "at the ends": draw.choice([-2.0, 5.0], size=patients),
            "constant": np.full(patients, 1 / 3),
            "nobody": np.zeros(0),
        }[kind].astype(np.float32)
        values = values.astype(np.float64)
        sums = np.array([[len(values)], [values.sum()], [(values**2).sum()]])
        assert are_possible(sums, np.array([ends[0]]), np.array([ends[1]])).all()


@pytest.mark.parametrize(
    ("sums", "noised"),
    [
        ((10.5, 20.0, 50.0), False),
        ((-1.0, 20.0, 50.0), True),
        ((10.0, 60.0, 400.0), True),
        ((10.0, -21.0, 50.0), True),
        ((10.0, 20.0, 39.9), True),
        ((10.0, 20.0, 165.0), False),
        ((10.0, 20.0, 600.0), True),
        ((0.0, 1.0, 1.0), False),
        ((np.nan, 1.0, 1.0), False),
        ((10.0, np.inf, 1.0), False),
    ],
)
def test_sums_that_no_values_have_are_told(sums: tuple[float, ...], noised: bool) -> None:
    column = np.array(sums)[:, None]
    assert not are_possible(column, np.array([-2.0]), np.array([5.0]), noised).any()


def test_noised_sums_may_be_of_half_a_patient_and_wide() -> None:
    column = np.array([[10.5], [20.0], [400.0]])
    assert are_possible(column, np.array([-2.0]), np.array([5.0]), noised=True).all()
