"""Paired differences between settings over folds and seeds, with intervals.

A pair is a run of a setting and a run of the file's own settings on the same inner fold with the same seed. Differences
on the same fold share their patients, so that the bootstrap draws folds first, and then seeds in every drawn fold
(Davison & Hinkley 1997, section 3.8). The percentile interval of few pairs is too short ("narrowness bias", Hesterberg
2015, What teachers should know about the bootstrap); its ends are moved away from the mean by the factor
sqrt(n / (n - 1)) t / z for n pairs. With m settings the level is 1 - 0.05 / m (Bonferroni), so that all intervals hold
together in 95% of searches.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from common.evaluation.bootstrap import percentile_interval

Array = NDArray[np.float64]


REPLICATES = 10_000


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference over pairs, with an interval; NaN where there are too few pairs.

    Attributes:
        pairs: number of pairs of which both runs have a score.
    """

    mean: float
    low: float
    high: float
    pairs: int


def level_for(settings: int) -> float:
    """Return the level of one interval, of which that many hold together at 95%."""
    return 1 - 0.05 / settings


def paired_difference(differences: Array, level: float) -> PairedDifference:
    """Summarise differences [folds, seeds], NaN where a pair is missing.

    The mean is that of the folds' means. The interval needs two folds at least.
    """
    rows = [row[~np.isnan(row)] for row in differences if not np.isnan(row).all()]
    pairs = sum(len(row) for row in rows)
    if not rows:
        return PairedDifference(math.nan, math.nan, math.nan, 0)
    mean = float(np.mean([row.mean() for row in rows]))
    if len(rows) < 2:
        return PairedDifference(mean, math.nan, math.nan, pairs)
    low, high = percentile_interval(_replicates(rows), level)
    middle = (1 + level) / 2
    wider = math.sqrt(pairs / (pairs - 1)) * student.ppf(middle, pairs - 1) / norm.ppf(middle)
    return PairedDifference(mean, mean + (low - mean) * wider, mean + (high - mean) * wider, pairs)


def _replicates(rows: list[Array]) -> Array:
    """Means [replicates] of folds drawn again, with seeds drawn again in every drawn fold."""
    generator = np.random.default_rng(0)
    sizes = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), sizes.max()))
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    folds = generator.integers(len(rows), size=(REPLICATES, len(rows)))
    drawn = generator.random((REPLICATES, len(rows), sizes.max()))
    seeds = (drawn * sizes[folds][..., None]).astype(np.intp)
    counted = np.arange(sizes.max()) < sizes[folds][..., None]
    values = np.where(counted, padded[folds[..., None], seeds], 0.0)
    means: Array = (values.sum(2) / sizes[folds]).mean(1)
    return means
