"""Noised sums over patients, which become statistics by a rule that looks at nothing else.

A hospital's gate adds the noise and applies the rule; nothing here needs torch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.messages.statistics import SiteStatistics
from common.patients.declared_sums import Array, bounds, moments_name, tasks_with_moments

TOO_FEW = 5.0
"""Standard deviations of noise below which a count is taken for 0.

The mean is then known to a fifth of the half range. At three, every thousandth count of nobody would pass, and a mean
known to a third of the half range says less than what is declared.
"""


LEAST_VARIANCE = 0.01
"""Least variance of z, for a variance that noise has made smaller or negative."""


def triples(federation: Federation) -> int:
    """Return the number of sums of (1, z, z^2)."""
    tasks = sum(task.moment_columns for task in federation.tasks)
    return sum(map(width, federation.modalities)) + tasks


def sensitivity(federation: Federation) -> float:
    """Return the largest Euclidean norm of one patient's part of all sums."""
    return math.sqrt(3 * triples(federation))


def summed(modality: Modality) -> tuple[NDArray[np.intp], Array, Array]:
    """Return indices [C] of summed columns and their ends [C] after transform and clip."""
    low, high = bounds(modality)
    chosen = (low < 0) | (high > 1)
    if modality.scale == "none":
        chosen[:] = False
    return chosen.nonzero()[0], low[chosen], high[chosen]


def width(modality: Modality) -> int:
    """Return the number of triples of a modality."""
    columns = len(summed(modality)[0])
    return columns if modality.node_kind.scaled_alone else min(columns, 1)


def statistics_of(noised: Array, federation: Federation, noise_multiplier: float) -> SiteStatistics:
    """Turn noised sums into statistics with the names and shapes of exact ones.

    A count below `TOO_FEW` deviations of its noise becomes 0, as if nothing had been reported; a mean is kept between
    the ends and a variance above `LEAST_VARIANCE`.

    Args:
        noised: [3 G] the sums, in the order of `client.families.noised_statistics.contributions`.
        federation: gives every column that is summed two ends (`common.patients.guarantee.check_agreement`).
        noise_multiplier: standard deviation of the noise over `sensitivity`.
    """
    table = noised.reshape(3, triples(federation))
    least = TOO_FEW * noise_multiplier * sensitivity(federation)
    moments: dict[str, Array] = {}
    start = 0
    for modality in federation.modalities:
        if modality.scale == "none":
            continue
        columns, low, high = summed(modality)
        sums = moments[f"modality:{modality.name}"] = np.zeros((3, len(modality.nodes)))
        end = start + width(modality)
        sums[:, columns] = _unscaled(table[:, start:end], low, high, least)
        start = end
    for task in tasks_with_moments(federation):
        end = start + task.moment_columns
        moments[moments_name(task)] = _unscaled(table[:, start:end], *task.moment_ends(), least)
        start = end
    return SiteStatistics(moments, dict.fromkeys(moments, 0))


def _unscaled(noised: Array, low: Array, high: Array, least: float) -> Array:
    """Return sums [3, C] in the columns' units from noised sums of z [3, C or 1].

    Columns with a small count get 0.
    """
    count, total, squares = noised
    sufficient = count >= max(least, 1.0)
    count = np.where(sufficient, count, 1.0)
    mean = (total / count).clip(-1, 1)
    variance = (squares / count - mean**2).clip(LEAST_VARIANCE, 1)
    center, half = (low + high) / 2, (high - low) / 2
    mean, variance = center + half * mean, half**2 * variance
    sums = np.stack(np.broadcast_arrays(count, count * mean, count * (variance + mean**2)))
    return np.where(sufficient, sums, 0.0)
