"""Columns and follow-up of public cohorts by hospital, as patients have them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from client.data.cohort import Cohort
from client.data.inspection import inspect_cohort
from common.agreement.federation import FILE_NAME, Federation, load
from common.agreement.modalities import Modality
from common.comparison.form import Subject, ValueForm
from common.comparison.quantity import Array, Quantity
from common.patients.compared import quantities
from common.patients.preprocessing import cells, site_statistics
from common.tasks.survival import SurvivalTask
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import write_cohort

EICU = "eicu"
"""Cohort of the demonstration of eICU: 186 hospitals with about ten patients each."""

_LEAST = 5
"""Minimum count of the statistics."""


@dataclass(frozen=True)
class MeasuredQuantity:
    """Quantity of a cohort with the values behind it.

    Attributes:
        cohort: its name.
        quantity: as hospitals are compared by it.
        values: hospital -> values before any transform, by the quantity's sums: of the patients with an event, and of
            those without; None for a table as a whole, whose sums are in `sums`.
        sums: hospital -> name of sums -> [3, N].
        low: least plausible value.
        high: largest plausible value.
        transformed: function of values to those that are summed.
    """

    cohort: str
    quantity: Quantity
    values: dict[str, tuple[Array, ...]] | None
    sums: dict[str, dict[str, Array]]
    low: float
    high: float
    transformed: Callable[[Array], Array]

    def planted(self, site: str, factor: float) -> dict[str, Array]:
        """Sums of a hospital whose values are in another unit."""
        assert self.values is not None
        return {
            name: sums_of_values(self.transformed(values * factor))
            for name, values in zip(self.quantity.sums, self.values[site], strict=True)
        }

    def is_refused(self, site: str, factor: float) -> bool:
        """Whether a hospital's own reader would refuse the values in another unit, as implausible."""
        assert self.values is not None
        values = np.concatenate(self.values[site]) * factor
        return bool(((values < self.low) | (values > self.high)).any())


def sums_of_values(values: Array) -> Array:
    """Count, sum and sum of squares [3, 1] of values, or 0 where too few patients have any."""
    rows = torch.from_numpy(values)[:, None]
    enough = len(values) and cells(rows, torch.ones_like(rows, dtype=torch.bool), _LEAST)[0] >= _LEAST
    sums = np.array([[len(values)], [values.sum()], [np.square(values).sum()]], dtype=np.float64)
    return sums if enough else np.zeros((3, 1))


def measured(cohort: str, data: Path | None, work: Path) -> list[MeasuredQuantity]:
    """Read the quantities of a public cohort that have a unit.

    Raises:
        InputError: if the cohort is unknown or its data are not there.
    """
    if cohort == EICU:
        assert data is not None
        return [*_eicu(data / "eicu_demo" / "patients.csv.gz")]
    folder = work / cohort
    write_cohort(cohort, data, folder)
    return [*_of_cohort(cohort, load(folder / FILE_NAME), find_sites(folder))]


def _of_cohort(name: str, federation: Federation, folders: list[Path]) -> Iterator[MeasuredQuantity]:
    cohorts = {}
    for folder in folders:
        cohort, _ = inspect_cohort(folder, federation)
        assert cohort is not None
        cohorts[cohort.site] = cohort
    sums = {
        site: site_statistics(cohort.batch, federation, _LEAST).moments for site, cohort in cohorts.items()
    }
    tasks = [task for task in federation.tasks if isinstance(task, SurvivalTask)]
    for quantity in quantities(federation):
        if quantity.form is ValueForm.NONE:
            continue
        shown = [*quantity.indices]
        kept = {site: {part: named[part][:, shown] for part in quantity.sums} for site, named in sums.items()}
        alone = replace(quantity, indices=tuple(range(len(shown))))
        if not quantity.column:
            yield MeasuredQuantity(name, alone, None, kept, -np.inf, np.inf, np.asarray)
        elif quantity.subject is Subject.TIME:
            task = next(task for task in tasks if task.time == quantity.column)
            values = {site: _times(cohort, task)[: len(quantity.sums)] for site, cohort in cohorts.items()}
            yield MeasuredQuantity(name, alone, values, kept, 0.0, task.longest, np.log1p)
        else:
            modality = federation.modality(quantity.table)
            plausible = modality.plausible_for(quantity.column)
            values = {site: (_column(cohort, modality, shown[0]),) for site, cohort in cohorts.items()}
            low = -np.inf if plausible.low is None else plausible.low
            high = np.inf if plausible.high is None else plausible.high
            transformed = np.vectorize(modality.transformed, otypes=[np.float64])
            yield MeasuredQuantity(name, alone, values, kept, low, high, transformed)


def _times(cohort: Cohort, task: SurvivalTask) -> tuple[Array, ...]:
    """Times of patients with an event, and of those without."""
    labels = cohort.batch.labels[task.name].double().numpy()
    rows = cohort.batch.labelled[task.name].all(1).numpy()
    event = labels[:, 1] > 0
    return labels[rows & event, 0], labels[rows & ~event, 0]


def _column(cohort: Cohort, modality: Modality, index: int) -> Array:
    """Values of a column before any transform."""
    raw = cohort.raw.get(modality.name, cohort.batch.values[modality.name])
    values: Array = raw[cohort.batch.observed[modality.name][:, index], index].double().numpy()
    return values


def _eicu(file: Path) -> Iterator[MeasuredQuantity]:
    """Age, size and first day of the patients of every hospital, without a plausible range."""
    frame = pd.read_csv(file)
    columns = [
        "age",
        "height_cm",
        "weight_kg",
        *(str(name) for name in frame if str(name).startswith("day1_")),
    ]
    for column in columns:
        if frame[column].nunique() <= _KINDS:  # a grade or a flag has no unit
            continue
        values: dict[str, tuple[Array, ...]] = {
            f"hospital {site}": (part[column].dropna().to_numpy(dtype=np.float64),)
            for site, part in frame.groupby("hospital")
        }
        quantity = Quantity("clinical", column, "", (column,), (0,), ValueForm.RATIO)
        sums = {site: {column: sums_of_values(parts[0])} for site, parts in values.items()}
        yield MeasuredQuantity(EICU, quantity, values, sums, -np.inf, np.inf, np.asarray)


_KINDS = 10
"""Most values of a grade."""
