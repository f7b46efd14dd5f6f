import numpy as np
import pytest

from client.profile.columns import ColumnAgreement, profile_of_numbers, short, unit_question

SIZE = ColumnAgreement("tumour_size_mm", "tumour_size_mm", "clinical.csv: size", "mm", (0, 300), (15, 35))


def test_centimetres_where_millimetres_are_asked_are_a_plain_question() -> None:
    values = np.array([1.1, 1.9, 2.0, 2.1, 2.2, 2.8, 4.0])
    doubt = profile_of_numbers(SIZE, values, 0).doubt
    assert doubt == "median 2.1 of tumour_size_mm; typical here is 15 to 35 mm: cm instead of mm?"


@pytest.mark.parametrize(
    ("unit", "typical", "median", "question"),
    [
        ("months", (12.0, 60.0), 2.4, "years instead of months?"),
        ("days", (90.0, 700.0), 9.0, "months instead of days?"),
        ("years", (45.0, 75.0), 720.0, "months instead of years?"),
        ("°C", (36.0, 38.0), 98.6, "°F instead of °C?"),
        ("points", (12.0, 60.0), 2.4, ""),
        ("mm", (-1.0, 1.0), 4.0, ""),
    ],
)
def test_the_unit_that_brings_a_median_to_its_range_is_named(
    unit: str, typical: tuple[float, float], median: float, question: str
) -> None:
    agreed = ColumnAgreement("x", "x", "x", unit, (None, None), typical)
    assert unit_question(agreed, median) == question


def test_a_median_beside_the_typical_range_is_no_doubt_and_one_far_out_is() -> None:
    assert profile_of_numbers(SIZE, np.full(20, 37.0), 0).doubt == ""
    assert profile_of_numbers(SIZE, np.full(20, 60.0), 0).doubt != ""
    assert profile_of_numbers(SIZE, np.full(4, 2.1), 0).doubt == ""
    assert profile_of_numbers(SIZE, np.full(20, 900.0), 0).outside == 20


def test_figures_are_those_of_the_values() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 400])
    column = profile_of_numbers(SIZE, values, 3)
    assert (column.patients, column.missing, column.outliers, column.outside) == (10, 3, 1, 1)
    assert (column.lowest, column.median, column.highest) == (1, 5.5, 400)
    assert column.bins is not None
    assert sum(column.bins.counts) == 10
    assert column.bins.edges[0] <= 1
    assert column.bins.edges[-1] >= 400


def test_grades_have_a_bin_each_and_a_column_without_values_has_none() -> None:
    column = profile_of_numbers(SIZE, np.array([0.0, 0, 1, 1, 1, 2]), 0)
    assert column.bins is not None
    assert column.bins.counts == (2, 3, 1)
    empty = profile_of_numbers(SIZE, np.zeros(0), 5)
    assert (empty.patients, empty.missing, empty.median, empty.bins) == (0, 5, None, None)
    same = profile_of_numbers(SIZE, np.full(6, 20.0), 0)
    assert same.bins is not None
    assert same.bins.counts == (6,)


@pytest.mark.parametrize(
    ("value", "text"), [(2.1, "2.1"), (15.0, "15"), (1234.4, "1234"), (0.01234, "0.0123")]
)
def test_a_value_is_short(value: float, text: str) -> None:
    assert short(value) == text
