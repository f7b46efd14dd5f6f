"""Units that differ between the hospitals of one owner's folder, by the medians of a column.

A hospital alone cannot compare, and says nothing. Columns with a typical range are judged by it where they are read.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.data.cohort import Cohort
from common.agreement.federation import Federation
from common.tasks.survival import SurvivalTask
from common.units.named import conversion

_TAKEN = (("cm", "mm"), ("years", "months"), ("months", "days"), ("years", "days"), ("g", "mg"))

FACTORS = {
    converted[0]: f"{smaller} and {larger}"
    for larger, smaller in _TAKEN
    if (converted := conversion(larger, smaller)) is not None
}
"""Factors between units that are taken for one another, with an example of each."""

_NEAR = 1.2
"""Largest ratio between a quotient of medians and a factor that explains it."""

_LEAST_PATIENTS = 10
"""Fewest patients of a hospital by whom its unit is judged."""

_MOST_COLUMNS = 100
"""Most columns of a modality that are compared: among thousands of genes some differ by any factor."""


@dataclass(frozen=True)
class Spread:
    """Quartiles of a column at a hospital."""

    low: float
    middle: float
    high: float

    def apart(self, other: "Spread") -> bool:
        """Whether the middle halves of the patients have no value in common."""
        return self.high < other.low or self.low > other.high


def spreads(cohort: Cohort, federation: Federation) -> dict[str, Spread]:
    """Column -> quartiles of a hospital's values before any transform, where there are enough."""
    quartiles = {}
    for modality in federation.modalities:
        if len(modality.columns) > _MOST_COLUMNS:
            continue
        cells = cohort.raw.get(modality.name, cohort.batch.values[modality.name])
        observed = cohort.batch.observed[modality.name]
        for index, column in enumerate(modality.columns):
            if modality.plausible_for(column).typical is None:
                quartiles[column] = _quartiles(cells[observed[:, index], index].double().numpy())
    for task in federation.tasks:
        if isinstance(task, SurvivalTask) and task.typical is None:
            labels = cohort.batch.labels[task.name][cohort.batch.labelled[task.name].all(1)]
            quartiles[task.time] = _quartiles(labels[task.happened(labels), 0].double().numpy())
    return {column: spread for column, spread in quartiles.items() if spread is not None}


def _quartiles(values: NDArray[np.float64]) -> Spread | None:
    if len(values) < _LEAST_PATIENTS:
        return None
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Spread(float(low), float(middle), float(high)) if low > 0 else None


def unit_differences(hospitals: Mapping[str, Mapping[str, Spread]]) -> Iterator[tuple[str, str]]:
    """(hospital, sentence) of medians that are a known factor away from the other hospitals'.

    Args:
        hospitals: hospital -> column -> quartiles.
    """
    columns = dict.fromkeys(column for of_site in hospitals.values() for column in of_site)
    for column in columns:
        here = {site: of_site[column] for site, of_site in hospitals.items() if column in of_site}
        for site, spread in list(here.items())[: 1 if len(here) == 2 else None]:
            others = [other for name, other in here.items() if name != site]
            if others and (what := _difference(spread, _middle(others))) is not None:
                yield site, f"column {column} {what}"


def _middle(spreads_: list[Spread]) -> Spread:
    quartiles = np.median([(spread.low, spread.middle, spread.high) for spread in spreads_], axis=0)
    return Spread(*map(float, quartiles))


def _difference(spread: Spread, others: Spread) -> str | None:
    """Tell of the factor between a hospital and the others; None without one."""
    ratio = spread.middle / others.middle
    distance = {factor: abs(abs(math.log(ratio)) - math.log(factor)) for factor in FACTORS}
    factor = min(distance, key=distance.__getitem__)
    if distance[factor] > math.log(_NEAR) or not spread.apart(others):
        return None
    more = "more" if ratio > 1 else "less"
    medians = f"has a median of about {spread.middle:.2g}, and of about {others.middle:.2g} elsewhere"
    return f"{medians}: some {factor:.3g} times {more}, as between {FACTORS[factor]}; check the unit."
