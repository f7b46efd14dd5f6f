import numpy as np
import pytest

from client.disclosures.audit import fewest_exposed, patterns_of

LEAST = 5


def exposed(*sums: list[int], least: int = LEAST) -> int | None:
    return fewest_exposed(patterns_of(np.array(sums, dtype=np.uint8)), least)


def of(*parts: tuple[int, int]) -> list[int]:
    """Codes of patients: (how many, code) after one another."""
    return [code for count, code in parts for _ in range(count)]


def test_one_sum_over_enough_patients_is_about_all_of_them() -> None:
    assert exposed(of((20, 1))) is None


@pytest.mark.parametrize(("more", "found"), [(1, 1), (4, 4), (5, None), (30, None)])
def test_a_sum_over_some_patients_more_is_about_those(more: int, found: int | None) -> None:
    assert exposed(of((20, 1), (more, 0)), of((20, 1), (more, 1))) == found


def test_patients_who_came_and_went_count_together() -> None:
    assert exposed(of((20, 1), (2, 1), (2, 0)), of((20, 1), (2, 0), (2, 1))) == 4
    assert exposed(of((20, 1), (3, 1), (3, 0)), of((20, 1), (3, 0), (3, 1))) is None


def test_a_corrected_value_is_about_its_patient() -> None:
    assert exposed(of((20, 1), (1, 2)), of((20, 1), (1, 3))) == 1
    assert exposed(of((20, 1), (4, 2)), of((20, 1), (4, 3))) == 4
    assert exposed(of((20, 1), (6, 2)), of((20, 1), (6, 3))) is None


def test_three_sums_can_tell_what_no_two_tell() -> None:
    """Two halves, and both with one patient more: no two of them differ by few."""
    first, second, both = of((20, 1), (21, 0)), of((20, 0), (20, 1), (1, 0)), of((41, 1))
    assert exposed(first, second) is exposed(first, both) is exposed(second, both) is None
    assert exposed(first, second, both) == 1


def test_four_overlapping_sums_can_tell_of_one() -> None:
    """A + B, B + C and C + A make 2 (A + B + C), which a fourth sum has with one patient more."""
    rows = [
        of((9, 1), (9, 1), (9, 0), (1, 0)),
        of((9, 0), (9, 1), (9, 1), (1, 0)),
        of((9, 1), (9, 0), (9, 1), (1, 0)),
        of((28, 1)),
    ]
    assert exposed(*rows[:3]) is None
    assert exposed(*rows) == 1


def test_small_groups_that_no_combination_separates_are_not_exposed() -> None:
    """Two sums that share most patients; each has three alone, so that their difference is about six."""
    assert exposed(of((20, 1), (3, 1), (3, 0)), of((20, 1), (3, 0), (3, 1))) is None


def test_too_many_small_groups_are_taken_for_exposed() -> None:
    rows = np.zeros((12, 12 * 3), dtype=np.uint8)
    for row in range(12):
        rows[row] = 1
        rows[row, 3 * row : 3 * row + 3] = 0
    assert fewest_exposed(patterns_of(np.concatenate([rows, np.ones((1, 36), np.uint8)])), 20) is not None


@pytest.mark.parametrize("seed", range(20))
def test_the_audit_finds_what_a_search_over_combinations_finds(seed: int) -> None:
    """Against all combinations of sums with coefficients from -2 to 2."""
    draw = np.random.default_rng(seed)
    rows = (draw.random((3, 12)) < 0.6).astype(np.uint8)
    coefficients = np.stack(np.meshgrid(*[range(-2, 3)] * 3)).reshape(3, -1)
    about = np.count_nonzero(coefficients.T @ rows.astype(int), axis=1)
    few = [int(number) for number in about if 0 < number < 4]
    assert fewest_exposed(patterns_of(rows), 4) == min(few, default=None)
