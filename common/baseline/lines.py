"""Lines of a baseline table: columns, levels and outcomes, with their place in the sums."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from common.agreement.agreement import Agreement
from common.agreement.federation import Federation
from common.agreement.labels import column_label, level_label, modality_label, task_label
from common.agreement.modalities import Modality
from common.patients.declared_sums import moments_name, tasks_with_moments
from common.tasks.task import OutcomeForm

MOST_COLUMNS = 40
"""Columns of a modality from which on it has one line in all: nobody reads a table of 1,500 genes."""


class BaselineMeasure(StrEnum):
    """Kind of figure on a line."""

    MEAN = "mean"
    """Mean and standard deviation, in the unit of the column."""
    LOG_MEAN = "mean of logarithms"
    """Mean and one deviation about it on the scale of log(1 + |x|), turned back into the column's unit."""
    SHARE = "share"
    """Patients with the level, or a 1, and their share."""
    COVERAGE = "coverage"
    """Patients in whom the column of the modality that most have was observed."""


@dataclass(frozen=True)
class BaselineLine:
    """Line of a baseline table.

    Attributes:
        label: of the column, level or outcome.
        unit: of the figures; empty for shares.
        measure: kind of figure.
        sums: name of the sums, as in `common.patients.declared_sums.sums`.
        index: of its column in the sums; None for all columns together.
        heading: whether it is the first line of its modality or of the outcomes.
        part: label of the modality, or Outcomes.
        modality: name of the modality; empty for an outcome.
    """

    label: str
    unit: str
    measure: BaselineMeasure
    sums: str
    index: int | None
    heading: bool
    part: str
    modality: str = ""


def baseline_lines_of(agreement: Agreement) -> list[BaselineLine]:
    """List the lines of an agreement's baseline table; none where records are no patients."""
    return baseline_lines(agreement) if isinstance(agreement, Federation) else []


def baseline_lines(federation: Federation) -> list[BaselineLine]:
    """List the lines of a baseline table: outcomes first, then modalities as in the file."""
    lines = list(_outcomes(federation))
    for modality in federation.modalities:
        if modality.scale != "none":
            lines += _modality(federation, modality)
    return lines


def _outcomes(federation: Federation) -> Iterator[BaselineLine]:
    first = True
    for task in tasks_with_moments(federation):
        if task.moment_columns != 1 or task.form not in (OutcomeForm.TIME_TO_EVENT, OutcomeForm.NUMBER):
            continue
        is_time = task.form is OutcomeForm.TIME_TO_EVENT
        label = task_label(federation, task.name)
        label = f"{label}: time of an event" if is_time else label
        measure = BaselineMeasure.LOG_MEAN if is_time else BaselineMeasure.MEAN
        yield BaselineLine(label, task.outcome_unit, measure, moments_name(task), 0, first, "Outcomes")
        first = False


def _modality(federation: Federation, modality: Modality) -> Iterator[BaselineLine]:
    name, part = f"modality:{modality.name}", modality_label(federation, modality.name)
    if len(modality.columns) + len(modality.categories) > MOST_COLUMNS:
        label = f"{len(modality.nodes):,} columns"
        yield BaselineLine(label, "", BaselineMeasure.COVERAGE, name, None, True, part, modality.name)
        return
    index = 0
    for column in modality.columns:
        plausible = modality.plausible_for(column)
        measure, unit = BaselineMeasure.MEAN, plausible.unit
        if (plausible.low, plausible.high) == (0, 1) and not modality.changes_values:
            measure, unit = BaselineMeasure.SHARE, ""
        elif modality.transform == "signed_log":
            measure = BaselineMeasure.LOG_MEAN
        label = column_label(federation, modality.name, column)
        yield BaselineLine(label, unit, measure, name, index, index == 0, part, modality.name)
        index += 1
    for column, levels in modality.categories.items():
        for level in levels:
            label = f"{column_label(federation, modality.name, column)}: "
            label += level_label(federation, modality.name, column, level)
            yield BaselineLine(label, "", BaselineMeasure.SHARE, name, index, index == 0, part, modality.name)
            index += 1
