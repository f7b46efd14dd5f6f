"""Horizons by which risks are asked unless a person names others."""

import math

YEARS = (1, 2, 3, 5, 10)
PER_YEAR = {"days": 365.25, "months": 12.0, "years": 1.0}


def usual_horizons(unit: str, end: float) -> tuple[float, ...]:
    """Return whole years in a unit of time up to the end of follow-up, or else that end."""
    years = [year * PER_YEAR[unit] for year in YEARS if unit in PER_YEAR]
    times = [float(round(time)) if time > 50 else time for time in years if time <= end]
    return tuple(times) or (rounded_down(end),)


def rounded_down(time: float) -> float:
    """Shorten a time to four digits or a whole number, and never to a later one."""
    digits = max(0, 3 - math.floor(math.log10(time)))
    factor = 10.0**digits
    return math.floor(time * factor) / factor
