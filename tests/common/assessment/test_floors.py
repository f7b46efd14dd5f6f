import numpy as np

from common.assessment.floors import are_apart, are_few, full_cells, merged


def test_nobody_is_not_few() -> None:
    assert [count for count in range(7) if are_few(count, 5)] == [1, 2, 3, 4]


def test_patients_are_apart_from_as_many_others() -> None:
    assert [count for count in range(13) if are_apart(count, 12, 5)] == [5, 6, 7]
    assert not any(are_apart(count, 9, 5) for count in range(10))


def test_cells_are_merged_until_every_kind_is_large_enough() -> None:
    counts = np.array([[1, 9], [4, 9], [2, 9], [9, 3], [0, 1], [7, 4]])
    assert full_cells(counts, 5) == [1, 3, 5]
    assert full_cells(counts[:, :1], 5) == [1, 3, 5]
    assert full_cells(counts[:1], 5) == []


def test_sums_stand_in_the_last_place_and_the_rest_is_left_out() -> None:
    numbers = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    assert merged(numbers, [1, 3]).tolist() == [0.0, 1.5, 0.0, 6.0, 0.0]
    assert not merged(numbers, []).any()
