"""Units behind every exact number that leaves a hospital, and their values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """Numbers that are made of the same units' values.

    Attributes:
        sums: name of the family's sums that they are the columns of, in order; empty for numbers of units and labels.
        names: of the columns, by what they are computed from: the hospital's file and column, and whether they are
            sums, labels or numbers of units. No name that an agreement chooses is in them.
        forms: of the columns: what an agreement makes of the values, such as a transform or one level of a category.
        seen: [U, N] whether a unit is behind a number.
        values: [U, N] float64, the unit's value before it takes any form; 0 where it is not seen.
    """

    sums: str
    names: tuple[str, ...]
    forms: tuple[str, ...]
    seen: NDArray[np.bool_]
    values: NDArray[np.float64]
