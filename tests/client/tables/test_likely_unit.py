"""Units that a column seems to be in, by the ranges of the federation file."""

import numpy as np
import pytest

from client.tables.likely_unit import Ranges, likely_unit, share_inside

SIZES, AGES = Ranges("mm", 0, 300), Ranges("years", 18, 110)
RNG = np.random.default_rng(5)
IN_MM, IN_YEARS = RNG.lognormal(3.3, 0.5, 200).clip(2, 200), RNG.normal(60, 12, 200).clip(20, 95)


@pytest.mark.parametrize(
    ("cells", "ranges", "unit"),
    [
        (IN_MM / 10, SIZES, "cm"),
        (IN_YEARS * 12, AGES, "months"),
        (IN_YEARS * 365.25, AGES, "days"),
        (IN_MM / 10, Ranges("mm", 0, 300, (15, 45)), "cm"),
        (RNG.normal(175, 10, 100) / 2.54, Ranges("cm", 100, 220), "in"),
    ],
)
def test_a_wrong_unit_is_named(cells: np.ndarray, ranges: Ranges, unit: str) -> None:
    assert likely_unit(cells, ranges) == unit


@pytest.mark.parametrize(
    ("cells", "ranges"),
    [
        (IN_MM, SIZES),
        (IN_YEARS, AGES),
        (IN_MM, Ranges("mm", 0, 300, (15, 45))),
        (np.append(IN_YEARS, 720.0), AGES),
        (IN_MM[:10] / 10, SIZES),
        (IN_MM / 10, Ranges("", 0, 300)),
        (IN_MM / 10, Ranges("score", 0, 300)),
        (np.full(50, np.nan), SIZES),
        (RNG.lognormal(1.5, 1.2, 200).clip(0, 299), Ranges("mg/l", 0, 300)),
    ],
)
def test_a_right_unit_and_too_little_to_go_by_are_left(cells: np.ndarray, ranges: Ranges) -> None:
    assert likely_unit(cells, ranges) is None


def test_share_of_plausible_cells() -> None:
    assert share_inside(np.array([10.0, 50.0, np.nan]), AGES) == 0.5
    assert share_inside(np.array([np.nan]), AGES) == 1.0
