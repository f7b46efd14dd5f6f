"""Forms of values behind sums, by how another unit moves them."""

from enum import StrEnum


class ValueForm(StrEnum):
    """Form of the values behind sums, which says how another unit moves them."""

    RATIO = "ratio"
    """Values of 0 and more: another unit multiplies mean and standard deviation."""
    LOGARITHM = "logarithm"
    """Logarithms of 1 + value: another unit moves the mean by the logarithm of a factor."""
    INTERVAL = "interval"
    """Values on either side of 0: another unit multiplies the standard deviation."""
    NONE = "none"
    """Values without a unit, such as levels, or 0 and 1."""


class Subject(StrEnum):
    """Subject of a quantity: hospitals differ more in follow-up than in anything measured."""

    COLUMN = "column"
    TIME = "time"
