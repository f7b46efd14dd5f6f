"""Bootstrap intervals over patients, paired between two models.

Percentile intervals (Efron & Tibshirani 1993, chapter 13). They cover the choice of test patients; the
choice of training patients and the seed of training are covered by repeating folds and seeds.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Indices = NDArray[np.intp]


Metric = Callable[[Indices], float | Array]
"""Figure, or figures [K], for the patients at these indices, some of them more than once; NaN where undefined."""


def replicate(metric: Metric, patients: int, seed: int, replicates: int = 200) -> Array:
    """Compute the metric [replicates, ...] of test patients drawn again, with replacement.

    The same seed draws the same patients, so replicates of two models may be subtracted.
    """
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(patients, size=patients, dtype=np.intp) for _ in range(replicates))
    return np.array([metric(indices) for indices in drawn])


def percentile_interval(replicates: Array, level: float = 0.95) -> tuple[float, float]:
    """Low and high end of the middle `level` of the defined replicates; NaN without any."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
