"""Two columns are alike, or differ in enough patients."""

import numpy as np
import pytest

from common.structure.near_copies import codes_of, without_near_copies

LEAST = 5


def distances(values: np.ndarray, observed: np.ndarray) -> list[int]:
    """Patients in which two columns differ, as they are or turned, for every pair of columns."""
    codes = [codes_of(values[:, column], observed[:, column], LEAST) for column in range(values.shape[1])]
    numbered = [of for of in codes if of is not None]
    turned = [np.where(of > 1000, of, -of) for of in numbered]
    return [
        int(min((numbered[i] != numbered[j]).sum(), (numbered[i] != turned[j]).sum()))
        for i in range(len(numbered))
        for j in range(i)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_two_columns_are_alike_or_differ_in_enough_patients(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = np.repeat(draw.integers(-2, 3, (40, 6)).astype(float), 5, axis=1)
    for column in range(30):
        rows = draw.choice(40, draw.integers(0, 7), replace=False)
        values[rows, column] = draw.integers(-2, 3, len(rows))
    observed = draw.random(values.shape) > 0.01
    made, mask = without_near_copies(values, observed, LEAST)
    assert all(distance == 0 or distance >= LEAST for distance in distances(made, mask))
    assert not all(distance == 0 or distance >= LEAST for distance in distances(values, observed))


def test_measured_values_stay_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=(40, 8))
    observed = np.ones(values.shape, dtype=bool)
    made, mask = without_near_copies(values, observed, LEAST)
    assert (made == values).all()
    assert mask.all()


def test_a_column_without_the_level_of_the_other_is_left_out() -> None:
    values = np.zeros((20, 2))
    values[:10, 0], values[:9, 1] = 1.0, 1.0
    values[9, 0] = 2.0
    _, mask = without_near_copies(values, np.ones(values.shape, dtype=bool), LEAST)
    assert mask[:, 0].all()
    assert not mask[:, 1].any()
