"""Hospitals' statistics as they are combined: possible ones, of which none rules the sum.

A hospital's sums lie within the ranges of the federation file, or the hospital has no part in the run. Where a column
has no range, the other hospitals are the measure: a hospital whose mean or standard deviation is `FAR` of their
robust deviations away has no part either, and one beyond `REACH` or `WIDEST` counts as if it were there.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from common.agreement.agreement import Agreement
from common.evaluation.moments import Array, are_possible, mean_and_deviation
from common.families.family import sums_of
from common.families.registry import family_of
from common.messages.exchange import StatisticsReply
from common.messages.statistics import SiteStatistics
from server.aggregation.robust import DEVIATION_OF_MEDIAN, FEWEST, most_undeclared

REACH = 10.0
"""Robust deviations from the median within which a hospital's mean counts as it is.

Means of honest hospitals of five kinds of cancer lie within 4, their standard deviations within 10 times the median.
"""

WIDEST = 20.0
"""Times the scale of a column that a hospital's standard deviation counts as, at most."""

FAR = 100.0
"""Robust deviations from where on a hospital is taken for one that errs or lies."""

NOISE_TAIL = 10.0
"""Standard deviations of noise that a noised count does not exceed."""

Sites = Mapping[str, SiteStatistics]
"""Hospital -> its sums."""


def can_be_sums(reply: StatisticsReply, federation: Agreement) -> bool:
    """Whether patients can have the sums of a reply, whose names and shapes were checked."""
    privacy, family = federation.privacy, family_of(federation)
    size = (federation.declared_patients or {}).get(reply.site)
    if privacy is not None and reply.patients != 1:
        return False
    if privacy is None and size is not None and reply.patients > size:
        return False
    most = np.inf if size is None else float(size)
    most = min(most, float(reply.patients)) if privacy is None else most
    noised = privacy is not None and privacy.statistics == "noised"
    if privacy is not None and noised:  # three sums of every column have noise at most
        columns = sum(shape[1] for shape in sums_of(family, federation).values())
        most += NOISE_TAIL * privacy.statistics_noise_multiplier * np.sqrt(3 * columns)
    ends = family.ends(federation)
    return all(
        bool((sums[0] <= most).all() and are_possible(sums, *ends[name], noised).all())
        and reply.withheld[name] <= sums.shape[1]
        for name, sums in reply.statistics.moments.items()
    )


def outliers(sites: Sites) -> set[str]:
    """Hospitals whose sums are far from those of all others."""
    far = set()
    for name in next(iter(sites.values())).moments if sites else ():
        middle, scale, means, deviations = _measures(sites, name)
        with np.errstate(invalid="ignore"):
            beyond = (np.abs(means - middle) > FAR * scale) | (deviations > FAR * scale)
        far |= {site for number, site in enumerate(sites) if np.any(beyond[number] & (scale > 0))}
    return far


def moderated(sites: Sites, sized: bool) -> list[SiteStatistics]:
    """Return the hospitals' sums as they are combined, in the same order.

    Args:
        sites: their sums as they came.
        sized: whether the federation file declares sizes; else no hospital counts for many times the median hospital.
    """
    moments: dict[str, dict[str, Array]] = {site: dict(sums.moments) for site, sums in sites.items()}
    for name in next(iter(sites.values())).moments if sites else ():
        middle, scale, means, deviations = _measures(sites, name)
        for number, site in enumerate(sites):
            mean = np.clip(means[number], middle - REACH * scale, middle + REACH * scale)
            deviation = np.minimum(deviations[number], WIDEST * scale)
            beyond = (scale > 0) & ((mean != means[number]) | (deviation != deviations[number]))
            beyond &= moments[site][name][0] > 0
            count = moments[site][name][0]
            within = np.stack([count, count * mean, count * (deviation**2 + mean**2)])
            moments[site][name] = np.where(beyond, within, moments[site][name])
    if not sized:
        sizes = {
            site: max((float(sums[0].max(initial=0.0)) for sums in named.values()), default=0.0)
            for site, named in moments.items()
        }
        most = most_undeclared([size for size in sizes.values() if size > 0])
        for site, size in sizes.items():
            if size > most:
                moments[site] = {name: sums * (most / size) for name, sums in moments[site].items()}
    return [replace(sums, moments=moments[site]) for site, sums in sites.items()]


def _measures(sites: Sites, name: str) -> tuple[Array, Array, Array, Array]:
    """Return middle [N] and scale [N] over hospitals, and their means and deviations [K, N].

    Means and deviations are not-a-number where a hospital has no patients. The scale is the hospitals' median standard
    deviation, or that of their means if it is larger, and no smaller than the median scale of the sums of that name: a
    column that hardly differs between patients is no measure. It is 0 where fewer than three hospitals have patients.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        figures = [mean_and_deviation(site.moments[name]) for site in sites.values()]
    present = np.stack([site.moments[name][0] > 0 for site in sites.values()])
    means = np.where(present, np.stack([mean for mean, _ in figures]), np.nan)
    deviations = np.where(present, np.stack([deviation for _, deviation in figures]), np.nan)
    enough = present.sum(axis=0) >= FEWEST
    middle, scale = np.zeros(means.shape[1]), np.zeros(means.shape[1])
    if enough.any():
        middle[enough] = np.nanmedian(means[:, enough], axis=0)
        between = DEVIATION_OF_MEDIAN * np.nanmedian(np.abs(means[:, enough] - middle[enough]), axis=0)
        scale[enough] = np.maximum(np.nanmedian(deviations[:, enough], axis=0), between)
        if (scale > 0).any():
            scale[enough] = np.maximum(scale[enough], np.median(scale[scale > 0]))
    return middle, scale, means, deviations
