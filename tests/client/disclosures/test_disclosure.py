import numpy as np
import pytest

from client.disclosures.disclosure import Disclosure, codes_of
from client.site_folder.site_key import marks_of

KEY = b"k" * 32


def test_a_release_comes_back_from_its_entry() -> None:
    draw = np.random.default_rng(0)
    marks = marks_of(range(9), KEY)
    disclosure = Disclosure(
        5,
        ("age", "crp"),
        ("none", "none"),
        tuple(marks[16 * row : 16 * row + 16] for row in range(9)),
        draw.integers(0, 255, (9, 2)).astype(np.uint8),
        draw.normal(size=(3, 2)),
    )
    entry = disclosure.entry("2026-01-01", "f" * 64, KEY)
    again = Disclosure.of(type(entry).model_validate_json(entry.model_dump_json()))
    assert again.entry("2026-01-01", "f" * 64, KEY) == entry
    assert again.codes.tobytes() == disclosure.codes.tobytes()
    assert again.sums.tobytes() == disclosure.sums.tobytes()


@pytest.mark.parametrize("spoilt", ["", "!", "aGVsbG8="])
def test_an_entry_that_cannot_be_unpacked_is_a_value_error(spoilt: str) -> None:
    disclosure = Disclosure(5, ("age",), ("none",), (bytes(16),), np.ones((1, 1), np.uint8), np.ones((3, 1)))
    entry = disclosure.entry("", "", KEY).model_copy(update={"codes": spoilt})
    with pytest.raises(ValueError):
        Disclosure.of(entry)


def test_codes_are_of_values_that_are_seen() -> None:
    values = np.array([[1.0, 0.0], [2.0, -0.0], [np.nan, 7.0]])
    seen = np.array([[True, True], [True, True], [False, True]])
    codes = codes_of(values, seen, ["a", "b"], KEY)
    assert codes[2, 0] == 0
    assert codes[0, 1] == codes[1, 1] != codes[2, 1]
    assert (codes[seen] > 0).all()
    assert not np.array_equal(codes, codes_of(values, seen, ["a", "c"], KEY))
    assert not np.array_equal(codes, codes_of(values, seen, ["a", "b"], b"l" * 32))


def test_different_values_seldom_have_one_code() -> None:
    values = np.arange(1000.0)[:, None]
    codes = codes_of(values, np.ones((1000, 1), dtype=bool), ["a"], KEY)
    assert np.bincount(codes[:, 0], minlength=256)[1:].max() < 20
