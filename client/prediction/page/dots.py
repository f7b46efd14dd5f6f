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
        full: path of the full dots.
        rings: path of all others.
        points: path of the points.
    """

    filled: int
    possible: int
    full: str
    rings: str
    points: str


def hundred(share: float, upper: float | None = None) -> Dots:
    """Draw a probability as full dots, row by row from the top.

    Args:
        share: the probability.
        upper: upper end of its interval, up to which dots have a point.
    """
    filled = round(100 * share)
    possible = 0 if upper is None else max(round(100 * upper) - filled, 0)
    return Dots(
        filled=filled,
        possible=possible,
        full=_circles(range(filled), RADIUS),
        rings=_circles(range(filled, SIDE * SIDE), RADIUS - 0.75),
        points=_circles(range(filled, filled + possible), CENTRE),
    )


def _circles(numbers: range, radius: float) -> str:
    return "".join(_circle(number, radius) for number in numbers)


def _circle(number: int, radius: float) -> str:
    row, column = divmod(number, SIDE)
    left, middle = (column + 0.5) * STEP - radius, (row + 0.5) * STEP
    half = f"a{radius:g} {radius:g} 0 1 0"
    return f"M{left:g} {middle:g}{half} {2 * radius:g} 0{half} {-2 * radius:g} 0z"
