"""Formats of dates, written as `DD.MM.YYYY`, and the day that a cell means by them."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache

EXCEL = "excel"
"""Name of the format of Excel's serial days, which count from 1899-12-30."""

ISO = "YYYY-MM-DD"

_EPOCH = date(1899, 12, 30)
_SERIALS = range(1, 80_000)
"""Serial days that are read, up to the year 2119."""

_TOKENS = {"YYYY": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{1,2})", "DD": r"(?P<day>\d{1,2})"}
_WORD = {"MON": r"(?P<word>[^\W\d_]{3,9})\.?"}
_CLOCK = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AP]M)?(?:Z|[+-]\d{2}:?\d{2})?)?"

_MONTHS = (
    ("jan", "januar", "janvier", "january"),
    ("feb", "februar", "fev", "fév", "february"),
    ("mar", "mär", "mrz", "maerz", "mars", "march"),
    ("apr", "april", "avr", "avril"),
    ("may", "mai"),
    ("jun", "juni", "juin", "june"),
    ("jul", "juli", "juil", "july"),
    ("aug", "august", "aou", "août"),
    ("sep", "sept", "september", "septembre"),
    ("oct", "okt", "oktober", "october", "octobre"),
    ("nov", "november", "novembre"),
    ("dec", "dez", "dezember", "déc", "december", "décembre"),
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, 1) for word in words}


class AmbiguousDateError(ValueError):
    """A cell that is two different days by two declared formats."""


def checked_format(text: str) -> str:
    """Return a format that can be read.

    Raises:
        ValueError: if it names no day, month or year.
    """
    if text != EXCEL:
        _pattern(text)
    return text


@cache
def _pattern(form: str) -> "re.Pattern[str]":
    """Compile a format."""
    pattern, rest, seen = "", form, list[str]()
    while rest:
        token = next((name for name in (*_TOKENS, "Mon") if rest.startswith(name)), None)
        if token is None:
            pattern += r"\s*" if rest[0] == " " else re.escape(rest[0])
            rest = rest[1:]
        else:
            pattern += _TOKENS.get(token) or _WORD["MON"]
            seen.append("MM" if token == "Mon" else token)
            rest = rest[len(token) :]
    if sorted(seen) != ["DD", "MM", "YYYY"]:
        raise ValueError(f"is no format of dates: write YYYY, MM or Mon, and DD, such as {ISO}, or {EXCEL}")
    return re.compile(pattern + _CLOCK, re.IGNORECASE)


def day_of(cell: object, formats: Sequence[str]) -> date | None:
    """Return the day that a cell means by one of several formats; None if it is no date by any.

    Days of typed columns, and texts that begin with YYYY-MM-DD, are read whatever the formats.

    Raises:
        AmbiguousDateError: if it is two different days.
    """
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    days = {day for form in (ISO, *formats) if (day := _day(cell, form)) is not None}
    if len(days) > 1:
        raise AmbiguousDateError
    return days.pop() if days else None


def _day(cell: object, form: str) -> date | None:
    if form == EXCEL:
        return _serial(cell)
    if not isinstance(cell, str) or (match := _pattern(form).fullmatch(cell.strip())) is None:
        return None
    parts = match.groupdict()
    month = _MONTH_OF.get(parts["word"].casefold()) if "word" in parts else int(parts["month"])
    try:
        return date(int(parts["year"]), month or 0, int(parts["day"]))
    except ValueError:
        return None


def _serial(cell: object) -> date | None:
    try:
        number = float(str(cell))
    except ValueError:
        return None
    return _EPOCH + timedelta(days=int(number)) if number >= 1 and int(number) in _SERIALS else None
