"""Quantities of a federation of patients by which hospitals are compared."""

from collections.abc import Iterator

import numpy as np

from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.comparison.form import Subject, ValueForm
from common.comparison.quantity import Array, Quantity
from common.patients.declared_sums import moments_name, rest_name, tasks_with_moments, tasks_with_rest
from common.patients.noised_sums import sensitivity, summed

MOST_COLUMNS = 100
"""Most columns of a modality that are compared one by one; larger tables are compared as a whole.

Among thousands of genes some differ between hospitals by any factor.
"""


def quantities(federation: Federation) -> tuple[Quantity, ...]:
    """Return the quantities of which hospitals share sums: columns, then those of tasks."""
    return (*_of_modalities(federation), *_of_tasks(federation))


def _of_modalities(federation: Federation) -> Iterator[Quantity]:
    for modality in federation.modalities:
        name = f"modality:{modality.name}"
        if modality.scale == "none" or not modality.columns:
            continue
        forms = [_form(modality, column) for column in modality.columns]
        if len(modality.columns) <= MOST_COLUMNS:
            for index, (column, form) in enumerate(zip(modality.columns, forms, strict=True)):
                unit = modality.plausible_for(column).unit
                yield Quantity(modality.name, column, unit, (name,), (index,), form)
            continue
        common = max(set(forms), key=forms.count)
        indices = tuple(index for index, form in enumerate(forms) if form is common)
        yield Quantity(modality.name, "", modality.plausible.unit, (name,), indices, common)


def _form(modality: Modality, column: str) -> ValueForm:
    """Form of a column's values after the modality's transform and clip."""
    plausible = modality.plausible_for(column)
    if (plausible.low, plausible.high) == (0, 1):
        return ValueForm.NONE
    if modality.transform == "signed_log":
        return ValueForm.LOGARITHM
    if plausible.low is not None and plausible.low >= 0:
        return ValueForm.RATIO
    return ValueForm.INTERVAL


def _of_tasks(federation: Federation) -> Iterator[Quantity]:
    for task in tasks_with_moments(federation):
        for index, column in enumerate(task.moment_sources):
            yield Quantity(
                OUTCOMES,
                column,
                task.outcome_unit,
                (moments_name(task),),
                (index,),
                task.moment_form,
                Subject.TIME if task.moment_form is ValueForm.LOGARITHM else Subject.COLUMN,
                task.moments_are,
            )
    for task in tasks_with_rest(federation):
        for index, column in enumerate(task.moment_sources):
            sums = (moments_name(task), rest_name(task))
            unit, form = task.outcome_unit, task.moment_form
            yield Quantity(OUTCOMES, column, unit, sums, (index,), form, Subject.TIME, "follow-up")


def noise_of_means(federation: Federation) -> dict[str, Array]:
    """Return the deviation [N] that noise gives a mean of one patient, by name of sums.

    Empty without noise. Sums of all columns of a large table share their noise, and none of them is told apart.
    """
    privacy = federation.privacy
    if privacy is None or privacy.statistics != "noised":
        return {}
    # a mean is a quotient of two noised sums, both of values up to 1
    noise = float(np.sqrt(2) * privacy.statistics_noise_multiplier * sensitivity(federation))
    deviations = {}
    for modality in federation.modalities:
        if modality.scale != "none":
            columns, low, high = summed(modality)
            half = np.zeros(len(modality.nodes))
            half[columns] = (high - low) / 2
            deviations[f"modality:{modality.name}"] = noise * half
    for task in tasks_with_moments(federation):
        low, high = task.moment_ends()
        deviations[moments_name(task)] = noise * (high - low) / 2
    return deviations
