"""Units behind every exact number that leaves a hospital, and their values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """Numbers that are made of the same units' values.

    Attributes:
        sums: name of the family's sums that they are the columns of, in order; empty for numbers of units and labels.
        names: of the columns, the same for the same column in every agreement.
        seen: [U, N] whether a unit is behind a number.
        values: [U, N] float64, what it adds; 0 where it is not seen.
    """

    sums: str
    names: tuple[str, ...]
    seen: NDArray[np.bool_]
    values: NDArray[np.float64]
