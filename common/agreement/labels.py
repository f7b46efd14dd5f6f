"""Labels of columns, levels, outcomes, tasks and modalities, for whoever has the agreement.

An agreement of a kind of record without display names gives the names themselves.
"""

from common.agreement.agreement import Agreement
from common.agreement.display_names import DisplayNames


def display_names(agreement: Agreement) -> DisplayNames:
    """Return the display names of an agreement."""
    names = getattr(agreement, "display_names", None)
    return names if isinstance(names, DisplayNames) else DisplayNames()


def modality_label(agreement: Agreement, modality: str) -> str:
    """Return the label of a modality, or its name."""
    return display_names(agreement).modality(modality)


def column_label(agreement: Agreement, modality: str, column: str) -> str:
    """Return the label of a column, or its name; the table of outcomes is `outcomes`."""
    return display_names(agreement).column(modality, column)


def level_label(agreement: Agreement, modality: str, column: str, level: str) -> str:
    """Return the label of a level of a category, or its name."""
    return display_names(agreement).level(modality, column, level)


def task_label(agreement: Agreement, task: str) -> str:
    """Return the label of a task, or its name."""
    return display_names(agreement).task(task)


def outcome_label(agreement: Agreement, task: str, outcome: str) -> str:
    """Return the label of a task's class or adverse event, or its name."""
    return display_names(agreement).outcome(task, outcome)
