"""Faults that are planted in patients' tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.patients.batch import PatientBatch
from common.structure.plan import pairs, wide_modalities

MONTHS = 12
"""Months of a year: an age is planted in months."""


@dataclass(frozen=True)
class Fault:
    """Fault in the tables of all patients.

    Attributes:
        title: what is wrong.
        modality: the table that is spoilt.
        beside: another table that the patients must have as well; None where none is needed.
        planted: puts the fault into raw patients.
        is_shared: whether the fault is judged over ten patients together as well.
    """

    title: str
    modality: str
    beside: str | None
    planted: Callable[[PatientBatch], PatientBatch]
    is_shared: bool = False

    def rows(self, patients: PatientBatch) -> Tensor:
        """Mask [P] of the patients who have the tables."""
        there = patients.present(self.modality)
        return there if self.beside is None else there & patients.present(self.beside)


def faults(federation: Federation, seed: int) -> Iterator[Fault]:
    """Yield the faults that a federation's tables can have."""
    for modality in wide_modalities(federation):
        yield Fault(
            f"{modality.name}: columns in another order",
            modality.name,
            None,
            lambda patients, modality=modality: reordered(patients, modality, seed),  # type: ignore[misc]
        )
    for modality in federation.modalities:
        for column in modality.columns:
            if modality.plausible_for(column).unit == "years":
                yield Fault(
                    f"{modality.name}: {column} in months",
                    modality.name,
                    None,
                    lambda patients, modality=modality, column=column: in_months(patients, modality, column),  # type: ignore[misc]
                )
    for pair in pairs(federation):
        yield Fault(
            f"{pair.first}: sign turned ({pair.second} is there)",
            pair.first,
            pair.second,
            lambda patients, name=pair.first: turned(patients, name),  # type: ignore[misc]
        )
        yield Fault(
            f"{pair.second}: another patient's table ({pair.first} is there)",
            pair.second,
            pair.first,
            lambda patients, name=pair.second: of_another(patients, name),  # type: ignore[misc]
            is_shared=True,
        )


def reordered(patients: PatientBatch, modality: Modality, seed: int) -> PatientBatch:
    """Put the numeric columns of a modality into another order."""
    number = len(modality.columns)
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    order = torch.cat([order, torch.arange(number, len(modality.nodes))])
    name = modality.name
    return replace(
        patients,
        values={**patients.values, name: patients.values[name][:, order]},
        observed={**patients.observed, name: patients.observed[name][:, order]},
    )


def in_months(patients: PatientBatch, modality: Modality, column: str) -> PatientBatch:
    """Give a column of years in months."""
    values = patients.values[modality.name].clone()
    values[:, modality.columns.index(column)] *= MONTHS
    return replace(patients, values={**patients.values, modality.name: values})


def turned(patients: PatientBatch, modality: str) -> PatientBatch:
    """Turn the sign of a modality's values."""
    return replace(patients, values={**patients.values, modality: -patients.values[modality]})


def of_another(patients: PatientBatch, modality: str) -> PatientBatch:
    """Give everybody the modality of the next patient."""
    return replace(
        patients,
        values={**patients.values, modality: patients.values[modality].roll(1, 0)},
        observed={**patients.observed, modality: patients.observed[modality].roll(1, 0)},
    )


def is_refused(patients: PatientBatch, federation: Federation) -> Tensor:
    """Mask [P] of the patients whose values lie outside a plausible range, as reading refuses.

    Modalities whose values are transformed or clipped are read before that, and not looked at here.
    """
    refused = torch.zeros(len(patients), dtype=torch.bool)
    for modality in federation.modalities:
        if modality.changes_values:
            continue
        for index, column in enumerate(modality.columns):
            plausible = modality.plausible_for(column)
            values = patients.values[modality.name][:, index]
            outside = torch.zeros_like(refused)
            if plausible.low is not None:
                outside |= values < plausible.low
            if plausible.high is not None:
                outside |= values > plausible.high
            refused |= outside & patients.observed[modality.name][:, index]
    return refused
