"""Attributions add up, are exact for linear functions, and say where they do not converge."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from common.explanation.path import Gradients, Values, gauss_legendre, integrate

HERE = {"a": torch.tensor([[1.0, -2.0]]), "b": torch.tensor([[0.5]])}


def pull_of(function: Callable[[Values], Tensor]) -> Callable[[Values], Gradients]:
    def pull(values: Values) -> Gradients:
        leaves = {name: part.clone().requires_grad_() for name, part in values.items()}
        found = torch.autograd.grad(function(leaves).sum(), list(leaves.values()))
        gradients = dict(zip(leaves, found, strict=True))
        return gradients, {name: 0 * part for name, part in gradients.items()}

    return pull


def ends(function: Callable[[Values], Tensor]) -> tuple[float, float]:
    return float(function({name: 0 * part for name, part in HERE.items()})), float(function(HERE))


def test_the_integral_of_a_linear_function_is_weight_times_value() -> None:
    weight = torch.tensor([3.0, 5.0])

    def linear(values: Values) -> Tensor:
        return values["a"] @ weight + 2 * values["b"][:, 0] + 7

    made = integrate(pull_of(linear), HERE, ends(linear))
    assert made.values["a"].tolist() == pytest.approx([3.0, -10.0])
    assert made.values["b"].tolist() == pytest.approx([1.0])
    assert made.converged
    assert made.steps == 32
    assert made.gap == pytest.approx(0, abs=1e-6)


def test_a_product_is_shared_among_its_factors() -> None:
    def whole(values: Values) -> Tensor:
        return values["a"][:, 0] * values["a"][:, 1] + 0 * values["b"][:, 0]

    made = integrate(pull_of(whole), HERE, ends(whole))
    assert made.values["a"].tolist() == pytest.approx([-1.0, -1.0])


@pytest.mark.parametrize(("steepness", "converges"), [(1.0, True), (300.0, True), (1e6, False)])
def test_steps_grow_until_the_attributions_add_up_or_it_says_that_they_do_not(
    steepness: float, converges: bool
) -> None:
    def bend(values: Values) -> Tensor:
        return torch.sigmoid(steepness * (values["b"][:, 0] - 0.2)) + 0 * values["a"].sum(1)

    made = integrate(pull_of(bend), HERE, ends(bend))
    assert made.converged is converges
    assert (abs(made.gap) <= 0.01 * (made.end - made.start)) is converges
    assert (made.steps > 32) is (steepness > 1)


def test_a_small_difference_has_a_tolerance_of_its_own() -> None:
    def flat(values: Values) -> Tensor:
        return 1e-5 * torch.sigmoid(1e6 * (values["b"][:, 0] - 0.2)) + 0 * values["a"].sum(1)

    assert integrate(pull_of(flat), HERE, ends(flat)).converged
    assert not integrate(pull_of(flat), HERE, ends(flat), slack=1e-8).converged


def test_weights_add_up_to_one() -> None:
    places, weights = gauss_legendre(64)
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights @ places**7) == pytest.approx(1 / 8)
