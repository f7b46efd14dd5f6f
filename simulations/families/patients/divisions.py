"""Divisions of patients into groups judged apart: hospitals, sexes and bands of age."""

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from client.data.cohort import Cohort
from common.agreement.federation import Federation

Groups = NDArray[np.str_]

HOSPITAL = "hospital"

UNKNOWN_GROUP = ""
"""Group of a patient of whom the column is not known, and who is in no group."""

_SEX = re.compile(r"(?i)(.*_)?(sex|gender)")
_AGE = re.compile(r"(?i)age(_.*)?|.*_age")
_BANDS = 3


def divisions(cohorts: Sequence[Cohort], federation: Federation) -> dict[str, Groups]:
    """Return division -> group [P] of the cohorts' patients, one cohort after another.

    Beside the hospital these are the first column that is called sex or gender, and the first that is called age, by
    which patients are divided into thirds.
    """
    sites = [cohort.site for cohort in cohorts for _ in range(len(cohort.batch))]
    divided: dict[str, Groups] = {HOSPITAL: np.array(sites, dtype=np.str_)} if len(cohorts) > 1 else {}
    for pattern, grouped in ((_SEX, _levels), (_AGE, _bands)):
        for name, values in _columns(cohorts, federation, pattern):
            groups = values if values.dtype.kind == "U" else grouped(values.astype(np.float64))
            if len(set(groups) - {UNKNOWN_GROUP}) > 1:
                divided[name] = groups.astype(np.str_)
                break
    return divided


def _columns(
    cohorts: Sequence[Cohort], federation: Federation, pattern: re.Pattern[str]
) -> Iterator[tuple[str, Groups | NDArray[np.float64]]]:
    """Yield (column, values or levels [P]) of columns of such a name; NaN or none if unobserved."""
    for modality in federation.modalities:
        values = np.concatenate([cohort.batch.values[modality.name].numpy() for cohort in cohorts])
        seen = np.concatenate([cohort.batch.observed[modality.name].numpy() for cohort in cohorts])
        nodes = list(modality.nodes)
        for column in filter(pattern.fullmatch, modality.columns):
            at = nodes.index(column)
            yield column, np.where(seen[:, at], values[:, at], np.nan).astype(np.float64)
        for column in filter(pattern.fullmatch, modality.categories):
            groups = np.full(len(values), UNKNOWN_GROUP, dtype=object)
            for level in modality.categories[column]:
                at = nodes.index(f"{column}={level}")
                groups[seen[:, at] & (values[:, at] > 0.5)] = level
            yield column, groups.astype(np.str_)


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
