"""Divisions of patients into groups that are judged apart: sex, age, other columns."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.errors import OptionError

if TYPE_CHECKING:  # names and shapes of sums are spared torch
    from common.patients.batch import PatientBatch

Groups = NDArray[np.str_]

UNKNOWN_GROUP = ""
"""Group of a patient of whom the column is not known, and who is in no group."""

_SEX = re.compile(r"(?i)(.*_)?(sex|gender)|is_(fe)?male")
_AGE = re.compile(r"(?i)age(_.*)?|.*_age")
_BANDS = 3

_AGES = {50.0: "under 50", 65.0: "50 to 64", 75.0: "65 to 74", float("inf"): "75 and over"}
"""Ages in years below which a band ends -> its name."""

_YEARS = ("year", "years")

Cells = tuple[NDArray[np.floating], NDArray[np.bool_], NDArray[np.floating]]
"""Values [P, nodes] of a modality, whether they are observed [P, nodes], and numbers [P, columns] as in the table."""


def divisions(
    federation: Federation, cells: Callable[[Modality], Cells], subgroups: Sequence[str] = ()
) -> dict[str, Groups]:
    """Return division -> group [P]: by sex, by age, and by columns that are asked for.

    These are the first column that is called sex or gender, and the first that is called age, in each of which there
    are two groups. A column of an age in years has fixed bands, another of many numbers thirds of its values.

    Args:
        federation: agreement that names columns and units.
        cells: returns the patients' cells of a modality.
        subgroups: columns by which patients are divided besides.

    Raises:
        OptionError: if a column of `subgroups` is in no modality.
    """
    divided: dict[str, Groups] = {}
    for pattern in (_SEX, _AGE):
        for name, groups in _columns(federation, cells, pattern):
            if len(set(groups) - {UNKNOWN_GROUP}) > 1:
                divided[name] = groups
                break
    for column in subgroups:
        matched = next(_columns(federation, cells, re.compile(re.escape(column))), None)
        if matched is None:
            remedy = "name a column as the federation file does"
            raise OptionError(f"--subgroups {column}", "is a column of no modality", remedy)
        divided[column] = matched[1]
    return divided


def divisions_of(patients: PatientBatch, federation: Federation) -> dict[str, Groups]:
    """Return the groups of patients in memory by sex and age."""

    def cells(modality: Modality) -> Cells:
        values, seen = patients.values[modality.name].numpy(), patients.observed[modality.name].numpy()
        numbers = values[:, : len(modality.columns)].astype(np.float64)
        if modality.transform == "signed_log":
            numbers = np.sign(numbers) * np.expm1(np.abs(numbers))
        return values, seen, numbers

    return divisions(federation, cells)


def fixed_groups(federation: Federation) -> dict[str, tuple[str, ...]]:
    """Return division -> its groups, where the federation file alone says them."""
    fixed: dict[str, tuple[str, ...]] = {}
    for pattern in (_SEX, _AGE):
        for modality in federation.modalities:
            if name := next(filter(pattern.fullmatch, modality.categories), None):
                fixed[name] = tuple(modality.categories[name])
                break
            groups = {
                column: names
                for column in filter(pattern.fullmatch, modality.columns)
                if (names := _names_in_range(modality.plausible_for(column), pattern is _AGE))
            }
            if groups:
                column = next(iter(groups))
                fixed[column] = groups[column]
                break
    return fixed


def _names_in_range(plausible: Plausible, is_age: bool) -> tuple[str, ...]:
    """Name the groups of a numeric column that its plausible range gives, if it does."""
    if is_age:
        return tuple(_AGES.values()) if plausible.unit in _YEARS else ()
    low, high = plausible.low, plausible.high
    return (f"{low:g}", f"{high:g}") if low is not None and high is not None and high - low == 1 else ()


def _columns(
    federation: Federation, cells: Callable[[Modality], Cells], pattern: re.Pattern[str]
) -> Iterator[tuple[str, Groups]]:
    """Yield (column, groups [P]) of the columns of such a name."""
    for modality in federation.modalities:
        numeric = list(filter(pattern.fullmatch, modality.columns))
        levelled = list(filter(pattern.fullmatch, modality.categories))
        if not numeric and not levelled:
            continue
        values, seen, numbers = cells(modality)
        nodes = list(modality.nodes)
        for column in numeric:
            at = nodes.index(column)
            observed = np.where(seen[:, at], numbers[:, at], np.nan).astype(np.float64)
            yield column, _grouped(column, observed, modality.plausible_for(column).unit)
        for column in levelled:
            groups = np.full(len(values), UNKNOWN_GROUP, dtype=object)
            for level in modality.categories[column]:
                at = nodes.index(f"{column}={level}")
                groups[seen[:, at] & (values[:, at] > 0.5)] = level
            yield column, groups.astype(np.str_)


def _grouped(column: str, values: NDArray[np.float64], unit: str) -> Groups:
    """Name the group of every value of a numeric column."""
    if _AGE.fullmatch(column) is None:
        return _levels(values)
    return _ages(values) if unit in _YEARS else _bands(values)


def _ages(values: NDArray[np.float64]) -> Groups:
    """Name the band of every age in years."""
    band = np.searchsorted(list(_AGES), values, side="right").clip(max=len(_AGES) - 1)
    return np.where(np.isnan(values), UNKNOWN_GROUP, np.array(list(_AGES.values()))[band]).astype(np.str_)


def _levels(values: NDArray[np.float64]) -> Groups:
    """Name every value, where there are a few."""
    observed = np.unique(values[~np.isnan(values)])
    if len(observed) > 2 * _BANDS:
        return _bands(values)
    return np.array([UNKNOWN_GROUP if np.isnan(value) else f"{value:g}" for value in values], dtype=np.str_)


def _bands(values: NDArray[np.float64]) -> Groups:
    """Name the third of the observed values in which each lies."""
    observed = values[~np.isnan(values)]
    if not len(observed):
        return np.full(len(values), UNKNOWN_GROUP, dtype=np.str_)
    quantiles = np.quantile(observed, np.arange(1, _BANDS) / _BANDS)
    ends = [float(f"{end:.3g}") for end in np.unique(quantiles)]
    names = [
        f"up to {ends[0]:g}",
        *(f"over {low:g}, up to {high:g}" for low, high in itertools.pairwise(ends)),
        f"over {ends[-1]:g}",
    ]
    band = np.searchsorted(ends, values, side="left").clip(max=len(ends))
    return np.where(np.isnan(values), UNKNOWN_GROUP, np.array(names)[band]).astype(np.str_)
