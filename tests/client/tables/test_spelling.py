"""Texts that look the same are the same: blanks, invisible signs and accents in two parts."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from client.tables.spelling import as_text, loose, plain


@pytest.mark.parametrize(
    "text",
    [" P 1 ", "P\u00a01", "\ufeffP 1", "P\u200b 1", "P  1", "\tP 1\r", "P\u202f1", "P 1\u00ad"],
)
def test_blanks_and_invisible_signs_do_not_matter(text: str) -> None:
    assert plain(text) == "P 1"


def test_an_accent_is_part_of_its_letter_however_it_is_saved() -> None:
    assert plain("Ko\u0308ln") == plain("K\u00f6ln")


def test_zeros_and_capitals_do_matter() -> None:
    assert len({plain(text) for text in ("007", "7", "P7", "p7")}) == 4


def test_a_loose_spelling_is_of_letters_and_digits_alone() -> None:
    assert loose("OS_Time (d)") == loose("os.time d") == "ostimed"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1.0, "1"),
        (1.5, "1.5"),
        (1e16, "10000000000000000"),
        ("1.0", "1"),
        ("1.000", "1"),
        ("007.0", "007"),
        ("9007199254740993.0", "9007199254740993"),
        ("1.50", "1.50"),
        (True, "True"),
        (np.bool_(False), "False"),
        (pd.Timestamp("2020-01-01"), "2020-01-01"),
        (pd.Timestamp("2020-01-01 08:30"), "2020-01-01 08:30:00"),
        (date(2020, 1, 1), "2020-01-01"),
        (8507, "8507"),
        ("T1c ", "T1c"),
    ],
)
def test_a_number_that_a_gap_made_a_fraction_is_whole_and_every_digit_stays(cell: object, text: str) -> None:
    assert as_text(cell) == text
