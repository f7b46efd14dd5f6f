"""Cells that are no numbers are counted by what stands there instead, and never shown."""

import pandas as pd
import pytest

from client.tables.cells import LEAVE_EMPTY, NAME_MISSING, emptied, no_numbers


@pytest.mark.parametrize("cell", ["", " ", "NA", " NA ", "nan", "NULL", "None", "\u00a0", None, float("nan")])
def test_cells_that_stand_for_an_empty_one_are_missing(cell: object) -> None:
    assert emptied(pd.Series([cell, "1"], dtype=object)).isna().tolist() == [True, False]


def test_numbers_with_blanks_around_them_are_numbers() -> None:
    assert pd.to_numeric(emptied(pd.Series([" 5 ", "6\u00a0", "\u200b7"], dtype=object))).tolist() == [
        5,
        6,
        7,
    ]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("61,5", "a comma"),
        ("1,234", "a comma"),
        ("1.234,5", "a comma"),
        ("1 234", "separators of thousands"),
        ("1.234.567", "separators of thousands"),
        ("1'234", "separators of thousands"),
        ("1950-03-02", "a date"),
        ("02.03.1950", "a date"),
        ("2-Mar-1950", "a date"),
        ("Mar 2, 1950", "a date"),
        ("<5", "a limit"),
        (">= 100", "a limit"),
        ("\u22645", "a limit"),
        ("12 mm", "more than a number"),
        ("12%", "more than a number"),
        ("1:DECEASED", "more than a number"),
    ],
)
def test_what_a_person_takes_for_a_number_is_counted_in_words(cell: str, words: str) -> None:
    what, remedy = no_numbers(pd.Series([cell, cell]))
    assert what == f"has cells that are not numbers: 2 cells with {words}"
    assert cell not in what
    assert "alone" in remedy
    assert LEAVE_EMPTY in remedy


def test_words_are_to_be_left_empty() -> None:
    what, remedy = no_numbers(pd.Series(["CANARY-8371", ["list"], "date"]))
    assert (what, remedy) == ("has cells that are not numbers", NAME_MISSING)


def test_words_for_unknown_are_counted_as_such() -> None:
    what, remedy = no_numbers(pd.Series(["unknown", "k.A.", "CANARY-8371"]))
    assert (what, remedy) == (
        "has cells that are not numbers: 2 cells with a word for unknown",
        NAME_MISSING,
    )
