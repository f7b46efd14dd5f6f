"""Probability as 100 dots, which can be counted, and told apart without colour."""

from dataclasses import dataclass

SIDE = 10
"""Dots in a row, and rows."""

STEP, RADIUS, CENTRE = 20, 7.5, 2.6
"""Distance of two dots, radius of a dot, and that of the point in it, in units of the drawing."""


@dataclass(frozen=True)
class Dots:
    """Drawing of 100 dots as SVG paths.

    Attributes:
        filled: number of full dots.
        possible: dots with a point, beyond the full ones up to the upper end of the interval.
        uncertain: number of full dots beyond the lower end of the interval.
        full: path of the full dots.
        rings: path of all others.
        points: path of the points in rings.
        holes: path of the points in full dots.
    """

    filled: int
    possible: int
    uncertain: int
    full: str
    rings: str
    points: str
    holes: str


def hundred(share: float, interval: tuple[float, float] | None = None) -> Dots:
    """Draw a probability as full dots, row by row from the top.

    Args:
        share: the probability.
        interval: its ends, between which dots have a point.
    """
    filled = round(100 * share)
    low, high = (filled, filled) if interval is None else (round(100 * end) for end in interval)
    low, high = min(low, filled), max(high, filled)
    return Dots(
        filled=filled,
        possible=high - filled,
        uncertain=filled - low,
        full=_circles(range(filled), RADIUS),
        rings=_circles(range(filled, SIDE * SIDE), RADIUS - 0.75),
        points=_circles(range(filled, high), CENTRE),
        holes=_circles(range(low, filled), CENTRE),
    )


def _circles(numbers: range, radius: float) -> str:
    return "".join(_circle(number, radius) for number in numbers)


def _circle(number: int, radius: float) -> str:
    row, column = divmod(number, SIDE)
    left, middle = (column + 0.5) * STEP - radius, (row + 0.5) * STEP
    half = f"a{radius:g} {radius:g} 0 1 0"
    return f"M{left:g} {middle:g}{half} {2 * radius:g} 0{half} {-2 * radius:g} 0z"
