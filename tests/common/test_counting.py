"""A number agrees with its noun."""

import pytest

from common.counting import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 warnings"), (1, "1 warning"), (2, "2 warnings"), (1234, "1,234 warnings")]
)
def test_one_alone_is_singular(number: int, words: str) -> None:
    assert counted(number, "warning") == words


def test_a_plural_of_another_form_is_named() -> None:
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
