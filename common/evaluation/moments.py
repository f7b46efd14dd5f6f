"""Mean and standard deviation from sums that add over hospitals."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_and_deviation(moments: Array) -> tuple[Array, Array]:
    """Return mean [N] and standard deviation [N] from counts, sums and sums of squares [3, N]."""
    count = np.maximum(moments[0], 1.0)
    mean = moments[1] / count
    return mean, np.sqrt(np.maximum(moments[2] / count - mean**2, 0.0))
