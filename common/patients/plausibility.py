"""Plausibility of federated preprocessing, as a hospital sees it before it computes with it.

A spread of next to nothing would make of a value's standardisation a test on which side of the center it lies, and one
beyond all bounds would leave nothing of it. Honest sums cannot lead there:

- The variance of pooled patients is at least that within any one site, weighted by its share of the patients; with n
  of at most N patients at a site, the pooled spread is at least sqrt(n / N) times its own.
- Values lie within the plausible range of the federation file after transform and clip: so does their mean, and their
  standard deviation is at most half the range. However wide the file's range is, and where it has none, mean and
  deviation of the federation are at most `FAR` times as large as a site's own; where all patients of a site are
  alike, the range of the file alone counts.
- Noised sums give means within the ends by which values are limited, and a variance of at least
  `LEAST_NOISED_VARIANCE` of the squared half range.

Sites may differ as hospitals do: no bound asks that a site resemble the others.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.evaluation.moments import mean_and_deviation
from common.messages.statistics import SiteStatistics
from common.patients.declared_sums import Array, bounds, moments_name, transformed_range
from common.patients.preprocessing import Preprocessing, declared, is_wide

FAR = 1000.0
"""Times a site's own values, or 1, that the federation's may be."""


LEAST_NOISED_VARIANCE = 0.01
"""Least variance that a hospital reports of a noised sum, in squared half ranges."""


SLACK = 1e-3
"""Share by which rounding to float32 may exceed a bound."""


Mask = NDArray[np.bool_]


def is_plausible(
    preprocessing: Preprocessing, federation: Federation, sums: SiteStatistics | None, units: int
) -> bool:
    """Whether honest sums of sites with so many patients in all can give this preprocessing.

    Args:
        preprocessing: of a request.
        federation: the agreement.
        sums: exact ones of this site; None where its sums are noised.
        units: the most patients of all sites together.
    """
    moments = {} if sums is None else sums.moments
    fallback = declared(federation)
    for modality in federation.modalities:
        center = preprocessing.center[modality.name].double().numpy()
        spread = preprocessing.spread[modality.name].double().numpy()
        typical = (fallback.center[modality.name].numpy(), fallback.spread[modality.name].numpy())
        if not _nodes_are_plausible(modality, center, spread, typical, moments, units):
            return False
    for task in federation.tasks:
        if task.prepared_size:
            cuts, task_moments = preprocessing.cuts[task.name], moments.get(moments_name(task))
            share = None if task_moments is None else _least_share(task_moments[0], units)
            same = bool((cuts == fallback.cuts[task.name]).all())
            if not (same and sums is None) and not task.is_plausible(cuts, task_moments, share):
                return False
    return True


def _nodes_are_plausible(
    modality: Modality,
    center: Array,
    spread: Array,
    typical: tuple[NDArray[np.float32], NDArray[np.float32]],
    moments: Mapping[str, Array],
    units: int,
) -> bool:
    untouched = (center == 0) & (spread == 1)
    if modality.scale == "none":
        return bool(untouched.all())
    unused = (center == 0) & np.isposinf(spread) & is_wide(modality)
    node_moments = moments.get(f"modality:{modality.name}")
    if node_moments is None:
        from_file = (center == typical[0]) & (spread == typical[1])
        return bool((from_file | unused | _within_noised(modality, center, spread)).all())
    mean, deviation = mean_and_deviation(node_moments)
    seen = node_moments[0] > 0
    low, high = _ranges(modality)
    size = FAR * np.maximum(1.0, np.hypot(mean, deviation))
    size = np.where(seen & ((deviation > 0) | ~np.isfinite(high - low)), size, np.inf)
    low, high = np.maximum(low, -size), np.minimum(high, size)
    margin = SLACK * np.maximum(1.0, np.where(np.isfinite(high - low), high - low, 1.0))
    inside = (center >= low - margin) & (center <= high + margin)
    broad = np.maximum((high - low) / 2, 1.0)  # a column that is the same everywhere has spread 1
    least = deviation * _least_share(node_moments[0], units) * (1 - SLACK)
    resolved = 1e-6 * np.abs(center) * (1 - SLACK)  # finer than sums resolve
    fits = (spread > 0) & (spread >= least) & (spread >= resolved) & (spread <= broad * (1 + SLACK))
    return bool((unused | (untouched & ~seen) | (inside & fits)).all())


def _ranges(modality: Modality) -> tuple[Array, Array]:
    """Lowest and highest value [nodes] after transform and clip; 0 and 1 for levels."""
    low, high = transformed_range(modality)
    levels = len(modality.nodes) - len(low)
    return np.concatenate([low, np.zeros(levels)]), np.concatenate([high, np.ones(levels)])


def _within_noised(modality: Modality, center: Array, spread: Array) -> Mask:
    """Mask [nodes] of center and spread that noised sums can give; levels are never summed."""
    low, high = bounds(modality)
    columns, half = len(low), (high - low) / 2
    within = np.zeros(len(modality.nodes), dtype=bool)
    with np.errstate(invalid="ignore"):
        margin = SLACK * half
        inside = (center[:columns] >= low - margin) & (center[:columns] <= high + margin)
        # each site's second moment is at most twice the squared half range
        fits = (spread[:columns] >= np.sqrt(LEAST_NOISED_VARIANCE) * half * (1 - SLACK)) & (
            spread[:columns] <= np.sqrt(2) * half * (1 + SLACK)
        )
    within[:columns] = inside & fits
    return within


def _least_share(count: Array, units: int) -> Array:
    """Least ratio [N] of the federation's spread to that of a site with so many patients."""
    return np.sqrt(np.minimum(1.0, count / units))
