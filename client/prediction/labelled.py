"""Forecasts in the display names of the federation file, for text and pages."""

from typing import TypeVar

from client.prediction.change import ChangedColumn, Changes
from client.prediction.forecast import Forecast, OutcomeForecast, PatientForecast
from common.agreement.display_names import DisplayNames
from common.explanation.enrichment import Enrichment
from common.explanation.explanation import ColumnContribution, Explanation, PathwayContribution

_NOT = "no "
"""Beginning of an outcome that says that a label does not hold."""

V = TypeVar("V")


def labelled_patient(patient: PatientForecast, names: DisplayNames) -> PatientForecast:
    """Return a patient's forecast in the words of the federation file."""
    return patient.model_copy(
        update={
            "observed": _of_modalities(patient.observed, names),
            "tasks": {
                names.task(task): _forecast(task, forecast, names) for task, forecast in patient.tasks.items()
            },
            "explanations": tuple(_explanation(part, names) for part in patient.explanations),
            "changes": tuple(_changes(part, names) for part in patient.changes),
        }
    )


def labelled_enrichment(enrichment: Enrichment, names: DisplayNames) -> Enrichment:
    """Return enriched pathways in the words of the federation file."""
    pathways = tuple(
        pathway.model_copy(update={"modality": names.modality(pathway.modality)})
        for pathway in enrichment.pathways
    )
    return enrichment.model_copy(
        update={
            "task": names.task(enrichment.task),
            "genes": _of_modalities(enrichment.genes, names),
            "pathways": pathways,
        }
    )


def _of_modalities(figures: dict[str, V], names: DisplayNames) -> dict[str, V]:
    return {names.modality(name): figure for name, figure in figures.items()}


def _forecast(task: str, forecast: Forecast, names: DisplayNames) -> Forecast:
    if not isinstance(forecast, OutcomeForecast):
        return forecast
    return forecast.model_copy(
        update={
            "probability": {names.outcome(task, name): share for name, share in forecast.probability.items()},
            "possible": {
                share: tuple(_possible(task, name, forecast, names) for name in possible)
                for share, possible in forecast.possible.items()
            },
        }
    )


def _possible(task: str, name: str, forecast: OutcomeForecast, names: DisplayNames) -> str:
    label = name.removeprefix(_NOT)
    is_absence = name not in forecast.probability and label in forecast.probability
    return f"{_NOT}{names.outcome(task, label)}" if is_absence else names.outcome(task, name)


def _explanation(explanation: Explanation, names: DisplayNames) -> Explanation:
    task = explanation.task
    return explanation.model_copy(
        update={
            "task": names.task(task),
            "outcome": names.outcome(task, explanation.outcome),
            "modalities": _of_modalities(explanation.modalities, names),
            "absent": _of_modalities(explanation.absent, names),
            "higher": tuple(_column(reason, names) for reason in explanation.higher),
            "lower": tuple(_column(reason, names) for reason in explanation.lower),
            "pathways_higher": tuple(_pathway(reason, names) for reason in explanation.pathways_higher),
            "pathways_lower": tuple(_pathway(reason, names) for reason in explanation.pathways_lower),
        }
    )


def _column(reason: ColumnContribution, names: DisplayNames) -> ColumnContribution:
    return reason.model_copy(
        update={
            "modality": names.modality(reason.modality),
            "column": names.column(reason.modality, reason.column),
            "value": names.level(reason.modality, reason.column, reason.value),
        }
    )


def _pathway(reason: PathwayContribution, names: DisplayNames) -> PathwayContribution:
    return reason.model_copy(update={"modality": names.modality(reason.modality)})


def _changes(changes: Changes, names: DisplayNames) -> Changes:
    return changes.model_copy(
        update={
            "task": names.task(changes.task),
            "outcome": names.outcome(changes.task, changes.outcome),
            "columns": tuple(_changed(column, names) for column in changes.columns),
        }
    )


def _changed(column: ChangedColumn, names: DisplayNames) -> ChangedColumn:
    levels = {
        "value": names.level(column.modality, column.column, column.value),
        "values": tuple(
            level.model_copy(update={"value": names.level(column.modality, column.column, level.value)})
            for level in column.values
        ),
    }
    return column.model_copy(
        update={
            "modality": names.modality(column.modality),
            "column": names.column(column.modality, column.column),
            **(levels if column.levels else {}),
        }
    )
