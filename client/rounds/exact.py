"""Exact numbers of an answer, recorded before they leave and the same whenever asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from client.disclosures.disclosure import Disclosure, codes_of
from client.disclosures.record import Exposure, exposure_of, release_once
from client.families.cells import Cells
from client.families.registry import reader_of
from client.rounds.site import Site
from client.site_folder.policy import Terms
from common.messages.statistics import SiteStatistics


def exact_statistics(site: Site, terms: Terms, fold: int) -> SiteStatistics:
    """Return the exact sums over training units, as they left before if they did.

    Raises:
        Refusal: if together with what left before they would tell of few units.
    """
    training, _ = site.split_records(fold)
    statistics = site.family.statistics(training, site.federation, terms.minimum_count)
    if site.simulated:
        return statistics
    new = _disclosure(site, terms, fold, statistics)
    sums = release_once(site.folder, new, site.digest, site.key)
    moments, start = {}, 0
    for name, array in statistics.moments.items():
        moments[name] = sums[:, start : start + array.shape[1]].copy()
        start += array.shape[1]
    return SiteStatistics(moments, statistics.withheld)


def require_disclosed(site: Site, terms: Terms, fold: int) -> None:
    """Record the exact numbers that an answer without privacy tells, once.

    Raises:
        Refusal: if together with what left before they would tell of few units.
    """
    if not site.simulated:
        exact_statistics(site, terms, fold)


def require_set_aside_disclosed(site: Site, terms: Terms, fold: int) -> None:
    """Record who calibrates and who tests, with their values, before sums about them leave.

    Sums about other weights are not compared with one another, but counts in them do not depend on weights: a patient
    who came, went or changed between two runs would show.

    Raises:
        Refusal: if together with what left before they would tell of few units.
    """
    if site.simulated:
        return
    split = site.split_indices(fold)
    for prefix, units in (("calibration ", split.calibration), ("test ", split.test)):
        if len(units):
            _disclose_values(site, terms, prefix, units)


def _disclose_values(site: Site, terms: Terms, prefix: str, units: torch.Tensor) -> None:
    """Record units who do not train, with their number and values, under names with a prefix."""
    everybody = np.ones(len(units), dtype=np.bool_)
    cells = _cells(site, units)
    parts = _counted(cells, everybody, prefix, site.key)
    values = np.concatenate(
        [np.where(part.seen, part.values, 0.0) for part in cells if not part.sums], axis=1
    )
    counts = np.concatenate([part.sums[0] for part in parts])
    sums = np.stack([counts, values.sum(0), np.square(values).sum(0)])  # codes alone miss one change in 255
    marks = site.cohort.marks[units].numpy()
    new = Disclosure(
        terms.minimum_count,
        tuple(f"{name} {form}" for part in parts for name, form in zip(part.names, part.forms, strict=True)),
        tuple(form for part in parts for form in part.forms),
        tuple(mark.tobytes() for mark in marks),
        np.concatenate([part.codes for part in parts], axis=1),
        sums,
    )
    release_once(site.folder, new, site.digest, site.key)


def foreseen_exposure(site: Site, terms: Terms) -> Exposure | None:
    """Return the exposure that would keep the site from answering; None if there is none."""
    privacy = terms.privacy
    if privacy is not None and privacy.statistics != "public":
        return None
    training, _ = site.split_records(-1)
    statistics = site.family.statistics(training, site.federation, terms.minimum_count)
    return exposure_of(site.folder, _disclosure(site, terms, -1, statistics), site.key)


def _disclosure(site: Site, terms: Terms, fold: int, statistics: SiteStatistics) -> Disclosure:
    """Everything exact that answers to this agreement tell; with privacy, the sums alone."""
    training, validation, *_ = site.split_indices(fold)
    units = torch.cat([training, validation])
    cells = _cells(site, units)
    trains = np.arange(len(units)) < len(training)
    names, forms, codes, sums = list[str](), list[str](), [], []
    for name, array in statistics.moments.items():
        columns = next(part for part in cells if part.sums == name)
        names += columns.names
        forms += columns.forms
        seen = columns.seen & trains[:, None]
        codes.append(codes_of(columns.values, seen, columns.names, site.key))
        sums.append(array)
    if terms.privacy is None:
        for prefix, chosen in (("", trains), ("validation ", ~trains)):
            for part in _counted(cells, chosen, prefix, site.key):
                names += part.names
                forms += part.forms
                codes.append(part.codes)
                sums.append(part.sums)
    marks = site.cohort.marks[units].numpy()
    return Disclosure(
        terms.minimum_count,
        tuple(names),
        tuple(forms),
        tuple(mark.tobytes() for mark in marks),
        np.concatenate(codes, axis=1),
        np.concatenate(sums, axis=1),
    )


def _cells(site: Site, units: torch.Tensor) -> list[Cells]:
    """Return every exact number that can leave, with these units."""
    rows = units.numpy()  # a tensor of one index would be taken for the index alone
    return [
        replace(part, seen=part.seen[rows], values=part.values[rows])
        for part in reader_of(site.federation).cells(site.cohort, site.federation, site.model.groups())
    ]


@dataclass(frozen=True)
class _Counted:
    """Numbers of which the units alone are told, as in `Disclosure`."""

    names: list[str]
    forms: tuple[str, ...]
    codes: NDArray[np.uint8]
    sums: NDArray[np.float64]


def _counted(cells: Sequence[Cells], chosen: NDArray[np.bool_], prefix: str, key: bytes) -> list[_Counted]:
    """Count the chosen units [U] behind every number that has no exact sums."""
    parts = []
    for part in cells:
        if part.sums:
            continue
        titles = [prefix + name for name in part.names]
        seen = part.seen & chosen[:, None]
        counts = seen.sum(0).astype(np.float64)
        sums = np.stack([counts, np.zeros_like(counts), np.zeros_like(counts)])
        parts.append(_Counted(titles, tuple(part.forms), codes_of(part.values, seen, titles, key), sums))
    return parts
