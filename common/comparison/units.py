"""Units that are taken for one another, by the factor between values in them."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

NEAR = 1.25
"""Largest ratio between a quotient of values and a factor that explains it."""


@dataclass(frozen=True)
class UnitPair:
    """Two units of which a value in the larger is `factor` times smaller than in the smaller."""

    larger: str
    smaller: str
    factor: float


PAIRS = (
    UnitPair("years", "months", 12.0),
    UnitPair("months", "days", 365.25 / 12),
    UnitPair("years", "days", 365.25),
    UnitPair("weeks", "days", 7.0),
    UnitPair("days", "hours", 24.0),
    UnitPair("hours", "minutes", 60.0),
    UnitPair("cm", "mm", 10.0),
    UnitPair("m", "cm", 100.0),
    UnitPair("m", "mm", 1000.0),
    UnitPair("inches", "cm", 2.54),
    UnitPair("inches", "mm", 25.4),
    UnitPair("kg", "pounds", 2.2046),
    UnitPair("kg", "g", 1000.0),
    UnitPair("g", "mg", 1000.0),
    UnitPair("mg", "µg", 1000.0),
    UnitPair("g/dL", "g/L", 10.0),
    UnitPair("g/dL", "mg/dL", 1000.0),
    UnitPair("mg/dL", "mg/L", 10.0),
    UnitPair("mmol/L", "µmol/L", 1000.0),
    UnitPair("mmol/L (cholesterol)", "mg/dL", 38.67),
    UnitPair("mmol/L (glucose)", "mg/dL", 18.02),
    UnitPair("mg/dL (creatinine)", "µmol/L", 88.42),
    UnitPair("mg/dL (bilirubin)", "µmol/L", 17.1),
    UnitPair("shares", "percent", 100.0),
    UnitPair("kPa", "mmHg", 7.501),
)

_SPELLINGS = {
    **dict.fromkeys(("year", "yr", "yrs", "y"), "years"),
    **dict.fromkeys(("month", "mo", "mos"), "months"),
    **dict.fromkeys(("week", "wk", "wks"), "weeks"),
    **dict.fromkeys(("day", "d"), "days"),
    **dict.fromkeys(("hour", "hr", "hrs", "h"), "hours"),
    **dict.fromkeys(("minute", "min", "mins"), "minutes"),
    **dict.fromkeys(("inch", "in"), "inches"),
    **dict.fromkeys(("pound", "lb", "lbs"), "pounds"),
    **dict.fromkeys(("ug", "mcg"), "µg"),
    **dict.fromkeys(("umol/l", "μmol/l"), "µmol/L"),
    **dict.fromkeys(("%", "pct"), "percent"),
    **dict.fromkeys(("gram", "grams"), "g"),
}
"""Other spellings of units, in lower case."""

_KNOWN = {name.lower(): name for pair in PAIRS for name in (pair.larger, pair.smaller)}


def unit_of(unit: str, column: str = "") -> str:
    """Return a unit as `PAIRS` spells it, by the file or the end of a column's name; else empty."""
    first = (unit.split() or [""])[0].strip(",;").lower()
    for word in (unit.strip().lower(), first):
        if (spelled := _KNOWN.get(_SPELLINGS.get(word, word).lower())) is not None:
            return spelled
    if unit:
        return ""
    last = re.split(r"[_. ()]+", column.strip(" )").lower())[-1]
    spelled = _KNOWN.get(_SPELLINGS.get(last, last).lower(), "")
    return spelled if spelled and last != column.lower() else ""


@dataclass(frozen=True)
class Mistake:
    """Values that are in another unit than they are taken to be in.

    Attributes:
        actual: unit that they seem to be in.
        meant: unit that they should be in.
        ratio: of values in `actual` to the same values in `meant`.
    """

    actual: str
    meant: str
    ratio: float

    @property
    def question(self) -> str:
        """The mistake as a question, such as `cm instead of mm?`."""
        return f"{self.actual} instead of {self.meant}?"


def mistakes(ratio: float, unit: str = "", near: float = NEAR) -> list[Mistake]:
    """Return mistakes that explain values `ratio` times as large as expected, likeliest first.

    Args:
        ratio: of the values to those expected, above 0.
        unit: that they should be in, as `unit_of` returns it; empty where nobody knows, and any pair may explain it.
        near: largest ratio between `ratio` and a factor that explains it.
    """
    if not (ratio > 0 and math.isfinite(ratio)):
        return []
    likely_ones = [
        (abs(math.log(ratio / mistake.ratio)), mistake)
        for mistake in _all_mistakes()
        if unit in ("", mistake.meant.partition(" (")[0])
    ]
    return [mistake for distance, mistake in sorted(likely_ones, key=_distance) if distance <= math.log(near)]


def _distance(pair: tuple[float, Mistake]) -> float:
    return pair[0]


def _all_mistakes() -> Iterator[Mistake]:
    for pair in PAIRS:
        yield Mistake(pair.larger, pair.smaller, 1 / pair.factor)
        yield Mistake(pair.smaller, pair.larger, pair.factor)


def hint(ratio: float, unit: str = "", column: str = "", near: float = NEAR) -> str:
    """Ask what explains values `ratio` times as large as expected; empty without a guess.

    A column of a known unit is explained by that unit alone; of any other at most two pairs are named.
    """
    spelled = unit_of(unit, column)
    if spelled:
        return next((mistake.question for mistake in mistakes(ratio, spelled, near)), "")
    if unit:
        return ""
    likely = mistakes(ratio, "", near)[:2]
    return f"{' or '.join(mistake.question.removesuffix('?') for mistake in likely)}?" if likely else ""
