import numpy as np
import pytest

from server.aggregation.robust import limits, most_undeclared


def test_one_value_is_out_of_the_others_reach() -> None:
    values = np.array([1.0, 2.0, 3.0, 1e20])
    low, high = limits(values, 3.0)
    assert low == pytest.approx(2.5 - 3 * 1.4826)
    assert high == pytest.approx(2.5 + 3 * 1.4826)
    assert (limits(np.array([1.0, 1.0, 1.0, 9.0]), 3.0, 0.5)[1]) == 2.5


def test_of_two_none_can_be_told_from_the_other() -> None:
    low, high = limits(np.array([1.0, 9.0]), 3.0)
    assert (float(low), float(high)) == (-np.inf, np.inf)


def test_columns_are_looked_at_one_by_one_and_without_those_who_have_none() -> None:
    values = np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]])
    low, high = limits(values, 1.0)
    assert ((low + high) / 2).tolist() == [2.0, 20.0]


def test_a_hospital_of_undeclared_size_counts_for_three_times_the_median() -> None:
    assert most_undeclared([10.0, 1e12]) == 30.0
    assert most_undeclared([10.0, 20.0, 1e12]) == 60.0
