import math

import numpy as np
import pytest

from common.evaluation.pairs import Pairs
from common.messages.validation import (
    SUMS,
    TRAINING_LOSS,
    ValidationSums,
    comparable,
    concordant,
    noise_of_ratio,
    on_grid,
    pair_names,
)


def test_names_on_the_wire() -> None:
    assert TRAINING_LOSS == "training_loss"
    assert SUMS == ("validation_loss", "validation_patients")
    assert (concordant("os"), comparable("os")) == ("concordant:os", "comparable:os")
    assert pair_names(["os", "ae"]) == (
        "concordant:os",
        "comparable:os",
        "concordant:ae",
        "comparable:ae",
    )


def test_sums_come_back_from_their_names() -> None:
    sums = ValidationSums(2.5, 9.0, {"os": Pairs(4.5, 7), "ae": Pairs.none()})
    named = sums.named()
    assert tuple(named) == (*SUMS, *pair_names(["os", "ae"]))
    assert all(type(number) is float for number in named.values())
    assert ValidationSums.of(named, ["os", "ae"]) == sums


@pytest.mark.parametrize(
    ("number", "left"),
    [(2.4, 2.0), (2.6, 3.0), (-5.0, 0.0), (99.0, 36.0), (math.nan, 0.0), (math.inf, 36.0), (-math.inf, 0.0)],
)
def test_sums_that_leave_are_whole_and_possible(number: float, left: float) -> None:
    rounded = ValidationSums(number, 9.0, {"os": Pairs(number, 36)}).rounded(4.0)
    assert (rounded.loss, rounded.pairs["os"]) == (left, Pairs(left, 36))
    assert rounded.rounded(4.0) == rounded


def test_the_largest_sum_is_a_whole_number_whatever_the_ceiling() -> None:
    assert ValidationSums(99.0, 3.0, {}).rounded(2.5).loss == 7.0
    assert on_grid(0.53, 0.0, 4.0, 1 / 16) == 0.5


def test_the_noise_of_a_concordance_is_that_of_many_draws() -> None:
    rng, deviations = np.random.default_rng(0), np.array([30.0, 12.0, 5.0])
    concordant, comparable = np.array([700.0, 300.0, 90.0]), np.array([1000.0, 400.0, 150.0])
    noise = rng.normal(size=(2, 20_000, 3)) * deviations
    drawn = (concordant + noise[0]).sum(1) / (comparable + noise[1]).sum(1)
    ratio = float(concordant.sum() / comparable.sum())
    assert noise_of_ratio(ratio, float(comparable.sum()), deviations) == pytest.approx(drawn.std(), rel=0.03)
