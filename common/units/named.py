"""Named units of quantities that tables hold, and their conversions."""

from typing import NamedTuple


class Unit(NamedTuple):
    """Unit of a quantity.

    Attributes:
        quantity: kind of quantity; units of one kind convert into each other.
        factor: size in the quantity's base unit.
        offset: zero point in the base unit, for temperatures.
    """

    quantity: str
    factor: float
    offset: float = 0.0


YEAR = 365.25
"""Days of a year; a month has a twelfth of them."""

UNITS: dict[str, Unit] = {
    "um": Unit("length", 1e-3),
    "mm": Unit("length", 1.0),
    "cm": Unit("length", 10.0),
    "dm": Unit("length", 100.0),
    "m": Unit("length", 1000.0),
    "in": Unit("length", 25.4),
    "ug": Unit("mass", 1e-6),
    "mg": Unit("mass", 1e-3),
    "g": Unit("mass", 1.0),
    "kg": Unit("mass", 1000.0),
    "lb": Unit("mass", 453.59237),
    "oz": Unit("mass", 28.349523125),
    "minutes": Unit("time", 1 / 1440),
    "hours": Unit("time", 1 / 24),
    "days": Unit("time", 1.0),
    "weeks": Unit("time", 7.0),
    "months": Unit("time", YEAR / 12),
    "years": Unit("time", YEAR),
    "K": Unit("temperature", 1.0),
    "C": Unit("temperature", 1.0, 273.15),
    "F": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "share": Unit("share", 1.0),
    "percent": Unit("share", 0.01),
    "g/l": Unit("mass per volume", 1.0),
    "g/dl": Unit("mass per volume", 10.0),
    "mg/dl": Unit("mass per volume", 0.01),
    "mg/l": Unit("mass per volume", 1e-3),
    "ug/l": Unit("mass per volume", 1e-6),
    "ng/ml": Unit("mass per volume", 1e-6),
    "mmol/l": Unit("amount per volume", 1.0),
    "umol/l": Unit("amount per volume", 1e-3),
    "nmol/l": Unit("amount per volume", 1e-6),
    "kPa": Unit("pressure", 1.0),
    "mmHg": Unit("pressure", 0.133322387415),
}
"""Named units. Sources: SI brochure, 9th edition; international pound, ounce and inch of 1959."""

_SPELLINGS = {
    **{"millimetre": "mm", "millimeter": "mm", "centimetre": "cm", "centimeter": "cm", "metre": "m"},
    **{"meter": "m", "inch": "in", "inches": "in", "µm": "um", "µg": "ug", "kilogram": "kg", "gram": "g"},
    **{"day": "days", "week": "weeks", "month": "months", "year": "years", "hour": "hours", "yr": "years"},
    **{"d": "days", "a": "years", "°c": "C", "°f": "F", "%": "percent", "µg/l": "ug/l", "pound": "lb"},
    **{
        "mo": "months",
        "wk": "weeks",
        "hr": "hours",
        "h": "hours",
        "y": "years",
        "min": "minutes",
        "pct": "percent",
    },
    **{"minute": "minutes", "mcg": "ug", "µmol/l": "umol/l", "kpa": "kPa", "mmhg": "mmHg"},
}


def unit_named(text: str) -> str | None:
    """Return the name of a unit in any of its spellings; None for an unknown one."""
    text = text.strip().replace("\u03bc", "µ")
    if text in UNITS:
        return text
    small = text.lower()
    return small if small in UNITS else _SPELLINGS.get(small, _SPELLINGS.get(small.removesuffix("s")))


def conversion(source: str, target: str) -> tuple[float, float] | None:
    """Return (factor, offset): target = factor * source + offset; None if there is none."""
    source_name, target_name = unit_named(source), unit_named(target)
    if source_name is None or target_name is None:
        return None
    theirs, ours = UNITS[source_name], UNITS[target_name]
    if theirs.quantity != ours.quantity:
        return None
    return theirs.factor / ours.factor, (theirs.offset - ours.offset) / ours.factor


def siblings(unit: str) -> list[str]:
    """List the other units of a unit's quantity."""
    name = unit_named(unit)
    if name is None:
        return []
    return [other for other, its in UNITS.items() if other != name and its.quantity == UNITS[name].quantity]
