"""Units that are taken for one another, by the factor between values in them."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from common.units.named import conversion, unit_named

NEAR = 1.25
"""Largest ratio between a quotient of values and a factor that explains it."""


@dataclass(frozen=True)
class UnitPair:
    """Two units of which a value in the larger is `factor` times smaller than in the smaller."""

    larger: str
    smaller: str
    factor: float


def _pairs() -> Iterator[UnitPair]:
    for larger, smaller in _TAKEN:
        converted = conversion(larger, smaller)
        assert converted is not None
        yield UnitPair(_WORDS.get(larger, larger), _WORDS.get(smaller, smaller), converted[0])
    yield from _OF_SUBSTANCES


_TAKEN = (
    *(("years", "months"), ("months", "days"), ("years", "days"), ("weeks", "days"), ("days", "hours")),
    *(("hours", "minutes"), ("cm", "mm"), ("m", "cm"), ("m", "mm"), ("in", "cm"), ("in", "mm")),
    *(
        ("kg", "lb"),
        ("kg", "g"),
        ("g", "mg"),
        ("mg", "ug"),
        ("g/dl", "g/l"),
        ("g/dl", "mg/dl"),
        ("mg/dl", "mg/l"),
    ),
    *(("mmol/l", "umol/l"), ("share", "percent"), ("kPa", "mmHg")),
)
"""Units of one quantity that tables confuse, the larger first."""

_OF_SUBSTANCES = (
    UnitPair("mmol/l (cholesterol)", "mg/dl", 38.67),
    UnitPair("mmol/l (glucose)", "mg/dl", 18.02),
    UnitPair("mg/dl (creatinine)", "umol/l", 88.42),
    UnitPair("mg/dl (bilirubin)", "umol/l", 17.1),
)
"""Units of different quantities, whose factor is the molar mass of a substance."""

_WORDS = {"in": "inches", "lb": "pounds", "share": "shares"}
"""Names that read badly in a sentence."""

PAIRS = tuple(_pairs())


def unit_of(unit: str, column: str = "") -> str:
    """Return a unit as `PAIRS` spells it, by the file or the end of a column's name; else empty."""
    words = unit.split()
    for text in (unit, words[0].strip(",;") if words else ""):
        if (spelled := _paired(text)) is not None:
            return spelled
    last = re.split(r"[_. ()]+", column.strip(" )"))[-1]
    return "" if unit or last == column else _paired(last) or ""


def _paired(text: str) -> str | None:
    """Return a unit that is in a pair."""
    name = unit_named(text)
    spelled = None if name is None else _WORDS.get(name, name)
    return spelled if any(spelled in (pair.larger, pair.smaller) for pair in PAIRS) else None


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
