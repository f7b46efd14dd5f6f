"""A number agrees with its noun."""

import pytest

from common.counting import counted, written


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 warnings"), (1, "1 warning"), (2, "2 warnings"), (1234, "1,234 warnings")]
)
def test_one_alone_is_singular(number: int, words: str) -> None:
    assert counted(number, "warning") == words


def test_a_plural_of_another_form_is_named() -> None:
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


def test_no_digit_that_tells_numbers_apart_is_lost() -> None:
    assert [written(number) for number in (12.0, 365.25, 1e9)] == ["12", "365.25", "1e+09"]
    assert written(1000.001) != written(1000.002)
