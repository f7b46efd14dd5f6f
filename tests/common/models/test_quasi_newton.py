"""The minimum is reached by gradients alone, in few steps, none of them longer than allowed."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from common.models.quasi_newton import QuasiNewton

Vector = NDArray[np.float64]


class RidgeLogistic:
    """Ridge logistic regression of made-up patients."""

    def __init__(self, patients: int, columns: int, penalty: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(patients, columns)) * rng.uniform(0.1, 2, columns)
        self.y = (self.x[:, 0] + rng.normal(size=patients) > 0.5).astype(float)
        self.penalty = penalty

    def value(self, w: Vector) -> float:
        """The penalised loss."""
        z = self.x @ w
        return float(np.logaddexp(0, z).sum() - self.y @ z + self.penalty / 2 * w @ w)

    def gradient(self, w: Vector) -> Vector:
        """Its gradient."""
        gradient: Vector = self.x.T @ (1 / (1 + np.exp(-self.x @ w)) - self.y) + self.penalty * w
        return gradient


@pytest.mark.parametrize(("patients", "columns", "penalty"), [(60, 5, 1.0), (200, 40, 5.0), (80, 300, 20.0)])
def test_the_minimum_is_reached_by_gradients_alone(patients: int, columns: int, penalty: float) -> None:
    for seed in range(3):
        problem, fit = RidgeLogistic(patients, columns, penalty, seed), QuasiNewton(0.5)
        point = np.zeros(columns)
        for _ in range(25):
            point = fit.next_point(point, problem.gradient(point))
        least = minimize(problem.value, np.zeros(columns), jac=problem.gradient, method="L-BFGS-B")
        begun = problem.value(np.zeros(columns))
        assert problem.value(point) - least.fun < 1e-3 * (begun - least.fun)


def test_no_step_is_longer_than_allowed() -> None:
    problem, fit, point = RidgeLogistic(100, 10, 0.01, 1), QuasiNewton(0.2), np.zeros(10)
    for _ in range(15):
        after = fit.next_point(point, problem.gradient(point))
        assert np.linalg.norm(after - point) <= 0.2 + 1e-12
        point = after


def test_a_step_that_was_too_long_is_shortened() -> None:
    fit = QuasiNewton(10.0)
    first = np.array([0.0])
    second = fit.next_point(first, np.array([-1.0]))
    third = fit.next_point(second, np.array([3.0]))
    assert third == pytest.approx(second / 4)


def test_where_the_gradient_is_nothing_the_point_stays() -> None:
    fit, point = QuasiNewton(0.5), np.ones(3)
    assert (fit.next_point(point, np.zeros(3)) == point).all()
    assert (fit.next_point(point, np.zeros(3)) == point).all()
