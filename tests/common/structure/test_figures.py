"""Figures of patients equal what they are defined by, also where patients are in the sums themselves."""

import numpy as np
import pytest

from common.structure import figures
from common.structure.plan import DIRECTIONS

DRAW = np.random.default_rng(3)


def test_the_share_without_a_patient_equals_that_of_sums_without_the_patient() -> None:
    values = DRAW.normal(size=(40, 4)) @ DRAW.normal(size=(4, 70)) + DRAW.normal(size=(40, 70))
    start = figures.signs(70, 8, 0, 1)
    products = values.T @ (values @ start)
    found = figures.outside_without(values, products, values, start)
    for row in range(3):
        others = np.delete(values, row, 0)
        directions = figures.basis(others.T @ (others @ start))
        assert found[row] == pytest.approx(figures.outside(values[row : row + 1], directions)[0], abs=1e-9)
    with_itself = figures.outside(values, figures.basis(products))
    assert found.mean() > with_itself.mean()


def test_patients_who_are_in_no_product_are_judged_as_they_are() -> None:
    values, start = DRAW.normal(size=(9, 70)), figures.signs(70, 8, 0, 1)
    products = DRAW.normal(size=(70, 8))
    found = figures.outside_without(values, products, np.zeros_like(values), start)
    assert found == pytest.approx(figures.outside(values, figures.basis(products)))


def test_the_expected_share_is_the_mean_over_random_orders() -> None:
    values, center = DRAW.normal(1.0, 1.0, size=(1, 70)), DRAW.normal(size=70)
    directions = figures.basis(DRAW.normal(size=(70, 5)))
    whole = inside = 0.0
    for _ in range(4000):
        shuffled = values[:, DRAW.permutation(70)] - center
        whole += float(np.square(shuffled).sum())
        inside += float(np.square(shuffled @ directions).sum())
    expected = figures.expected_outside(values - center, center, directions)[0]
    assert expected == pytest.approx(1 - inside / whole, abs=0.01)


def test_order_is_not_judged_where_none_can_be_seen() -> None:
    flat = np.ones((1, 70))
    directions = figures.basis(np.concatenate([np.ones((70, 1)), DRAW.normal(size=(70, 3))], 1))
    expected = figures.expected_outside(flat, np.zeros(70), directions)
    assert np.isnan(figures.disorder(figures.outside(flat, directions), expected)).all()
    assert np.isnan(figures.outside(np.zeros((1, 70)), directions)).all()


def test_directions_that_are_nothing_are_left_out() -> None:
    products = DRAW.normal(size=(70, 2)) @ DRAW.normal(size=(2, DIRECTIONS))
    assert figures.basis(products).shape == (70, 2)
    assert figures.basis(np.zeros((70, DIRECTIONS))).shape == (70, 0)


def _pairs(number: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gene = DRAW.normal(size=(number, 30))
    left, right = gene + 0.5 * DRAW.normal(size=gene.shape), 3 * gene + DRAW.normal(size=gene.shape)
    return left, right, np.ones(gene.shape, dtype=bool)


def test_disagreement_tells_turned_signs_and_other_patients() -> None:
    left, right, both = _pairs()
    sums = figures.pair_sums(left, right, both)
    ordinary = figures.disagreement(left, right, both, sums)
    turned = figures.disagreement(-left, right, both, sums)
    other = figures.disagreement(left, np.roll(right, 1, 0), both, sums)
    assert ordinary.max() < 0.3 < other.mean() < 0.7 < turned.min()
    assert turned == pytest.approx(1 - ordinary, abs=0.02)


def test_disagreement_counts_what_is_seen_in_both_and_not_a_few_columns() -> None:
    left, right, both = _pairs(20)
    sums = figures.pair_sums(left, right, both)
    part = both.copy()
    part[0, 9:] = False
    part[1, 15:] = False
    spoilt = np.where(part, left, 99.0)
    found = figures.disagreement(spoilt, right, part, sums)
    assert np.isnan(found[0])
    assert found[1] < 0.4
    assert found[2:] == pytest.approx(figures.disagreement(left, right, both, sums)[2:])


def test_terms_add_up_to_the_sums() -> None:
    left, right, both = _pairs(20)
    both[3] = False
    terms = figures.pair_terms(left, right, both)
    assert terms.sum(1) == pytest.approx(figures.pair_sums(left, right, both))
    assert (figures.pair_sums(left, right, both)[0] == 19).all()


def test_sizes_are_bounded() -> None:
    values = np.array([[0.0, 0.0], [1.0, 1.0], [1e9, 1.0], [5.0, 7.0]])
    observed = np.array([[True, True], [True, True], [True, True], [False, False]])
    size = figures.log_size(values, observed)
    assert list(size[:3]) == [figures.LEAST_SIZE, 0.0, figures.LARGEST_SIZE]
    assert np.isnan(size[3])
