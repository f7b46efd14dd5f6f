"""Checks of a task's label columns as read from a hospital's table."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LabelProblem(NamedTuple):
    """Fault in a label column of the outcomes table, with its remedy.

    The column is named as the federation file names it.
    """

    column: str
    what: str
    remedy: str


def binary_problems(column: str, cells: NDArray[np.float64]) -> list[LabelProblem]:
    """Return a problem if a cell ([P], NaN where unknown) is neither 0 nor 1."""
    if np.isin(cells[~np.isnan(cells)], (0.0, 1.0)).all():
        return []
    return [LabelProblem(column, "has cells other than 0 and 1", "recode them")]
