"""Merged cells have enough patients of either outcome, and so has what lies between them."""

import itertools

import numpy as np
import pytest

from common.validation.sums.merging import merged_cells, merged_times


def test_cells_hold_everybody_and_enough_of_either_outcome() -> None:
    counts = np.array([[1, 9], [4, 9], [2, 9], [9, 3], [0, 1], [7, 7], [1, 1]], dtype=float)
    ends = merged_cells(counts, 5)
    assert ends == [1, 3, 6]
    sums = [part.sum(0) for part in np.split(counts, [2, 4])]
    assert all((part >= 5).all() for part in sums)
    assert merged_cells(np.array([[4.0, 90.0]]), 5) == []


@pytest.mark.parametrize("seed", range(5))
def test_between_two_times_there_are_enough_patients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, size=(12, 2)).astype(float)
    patients = int(counts.sum()) + 6
    kept = merged_times(counts, patients, 5, [7], range(12))
    edges = [0, *(end + 1 for end in kept)]
    for start, end in itertools.pairwise(edges):
        events, censored = counts[start:end].sum(0)
        assert events >= 5
        assert censored == 0 or censored >= 5
    assert patients - counts[: edges[-1]].sum() >= 5


def test_the_first_times_come_before_finer_ones() -> None:
    counts = np.array([[6, 0], [3, 0], [3, 0], [6, 0]], dtype=float)
    assert merged_times(counts, 40, 5, [1], range(4)) == [1, 3]
    assert merged_times(counts, 40, 5, [], range(4)) == [0, 2, 3]
    assert merged_times(counts, 18, 5, [], range(4)) == [0, 2]  # nobody would be left
