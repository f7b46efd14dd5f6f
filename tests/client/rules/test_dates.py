"""Dates in declared formats: several at once, and never a guess between two days."""

from datetime import date, datetime

import pytest

from client.rules.dates import AmbiguousDateError, checked_format, day_of

GERMAN, AMERICAN, WORDS = "DD.MM.YYYY", "MM/DD/YYYY", "Mon DD, YYYY"


@pytest.mark.parametrize(
    ("cell", "formats"),
    [
        ("31.12.2005", [GERMAN]),
        ("12/31/2005", [GERMAN, AMERICAN]),
        ("Dec 31, 2005", [WORDS]),
        ("december 31, 2005", [WORDS]),
        ("31. Dez. 2005", ["DD. Mon YYYY"]),
        ("2005-12-31", []),
        ("2005-12-31T08:30:00", []),
        ("31.12.2005 08:30", [GERMAN]),
        (datetime(2005, 12, 31, 8), []),
        (date(2005, 12, 31), []),
        ("38717", ["excel"]),
        (38717.25, ["excel"]),
    ],
)
def test_a_day_is_read(cell: object, formats: list[str]) -> None:
    assert day_of(cell, formats) == date(2005, 12, 31)


@pytest.mark.parametrize("cell", ["31.13.2005", "12/31/2005", "31.12.05", "38717", 38717, "soon", "", 1.5])
def test_what_no_declared_format_reads_is_no_day(cell: object) -> None:
    assert day_of(cell, [GERMAN]) is None


def test_day_and_month_are_not_guessed() -> None:
    with pytest.raises(AmbiguousDateError):
        day_of("03/04/2005", ["DD/MM/YYYY", AMERICAN])
    assert day_of("03/03/2005", ["DD/MM/YYYY", AMERICAN]) == date(2005, 3, 3)


@pytest.mark.parametrize("form", ["MM.YYYY", "%d.%m.%Y", "DD.MM.YY", "", "DD.MM.YYYY DD"])
def test_a_format_has_a_day_a_month_and_a_year(form: str) -> None:
    with pytest.raises(ValueError, match="format of dates"):
        checked_format(form)
