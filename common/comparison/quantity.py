"""Quantities of which hospitals share sums, and where a hospital's patients lie by them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.comparison.form import Subject, ValueForm
from common.evaluation.moments import mean_and_deviation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """Quantity of a column of a table.

    Attributes:
        table: name of the table in the federation file.
        column: name of the column; empty for a table that is compared as a whole.
        unit: of the column, as the federation file has it.
        sums: names of the sums that add up to it, as hospitals send them.
        indices: columns of those sums: one, or all that are compared together.
        form: of the values.
        subject: what the quantity is of.
        what: what the values are, where the column alone does not say, such as `times of events`.
    """

    table: str
    column: str
    unit: str
    sums: tuple[str, ...]
    indices: tuple[int, ...]
    form: ValueForm
    subject: Subject = Subject.COLUMN
    what: str = ""


LEAST = 5.0
"""Fewest patients by whom a hospital's location is judged, whatever the agreement's minimum count."""

_LEAST_LOGARITHM = 1e-4
"""Mean logarithm of 1 + value below which nearly all values are 0, and another unit can hardly be told."""


def locations(moments: Array, form: ValueForm) -> tuple[Array, Array]:
    """Locate a hospital's values [N] where a factor is a shift, with variances [N].

    The scale is the natural logarithm: of the mean for a ratio; of exp(mean) - 1 for logarithms of 1 + value; of the
    standard deviation for an interval. Variances are those of sampling, by the delta method, with 1 / 4n more because
    the standard deviation of few patients is itself uncertain. Both are not-a-number where fewer than `LEAST` patients
    are behind the sums, or the logarithm has no argument.

    Args:
        moments: [3, N] counts, sums and sums of squares.
        form: of the values.
    """
    count = moments[0]
    mean, deviation = mean_and_deviation(moments)
    n = np.maximum(count, 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if form is ValueForm.RATIO:
            location, variance, is_present = np.log(mean), (deviation / mean) ** 2 / n, mean > 0
        elif form is ValueForm.LOGARITHM:
            location = np.log(np.expm1(mean))
            variance = (deviation * np.exp(mean) / np.expm1(mean)) ** 2 / n
            is_present = mean > _LEAST_LOGARITHM
        else:
            location, variance = np.log(deviation), 1 / n
            is_present = deviation > 1e-6 * np.abs(mean)
    is_present &= (
        (count >= LEAST) & np.isfinite(location) & np.isfinite(variance) & (form is not ValueForm.NONE)
    )
    return np.where(is_present, location, np.nan), np.where(is_present, variance + 0.25 / n, np.nan)
