"""Forecasts of a patient as if one actionable value were another.

Only columns that the federation file marks `actionable` are changed, one at a time and within their plausible range.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from client.prediction.change import LOWER_BY, ChangedColumn, ChangedValue, Changes
from client.prediction.forecast import Forecast, NumberForecast, OutcomeForecast, SurvivalForecast
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.counting import written
from common.explanation.explanation import Explanation
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.tasks.task import OutcomeForm

VALUES = 21
"""Values of a numeric column over its plausible range, with both ends."""

Foreseen = Callable[[PatientBatch], Sequence[Mapping[str, Forecast]]]
"""Forecasts, by task, of every patient of a batch with raw values."""


def changes(
    federation: Federation,
    prepared: Preprocessing,
    patient: PatientBatch,
    explanations: Sequence[Explanation],
    foreseen: Foreseen,
) -> tuple[Changes, ...]:
    """Forecast a patient anew for every value of every actionable column that was measured.

    Args:
        federation: the agreement.
        prepared: scaling, by which the model may leave a column out.
        patient: one, with raw values.
        explanations: of the numbers that are forecast.
        foreseen: the forecasts of patients.

    Returns:
        The changes of every explained number; nothing where no actionable column was measured.
    """
    trials = list(_trials(federation, prepared, patient))
    if not trials:
        return ()
    batch = patient.select(torch.zeros(1 + sum(len(trial.values) for trial in trials), dtype=torch.long))
    row = 1
    for trial in trials:
        batch.values[trial.modality.name][row : row + len(trial.values), trial.nodes] = trial.values
        row += len(trial.values)
    forecasts = foreseen(batch)
    made = []
    forms = {task.name: task.form for task in federation.tasks}
    for explained in explanations:
        is_risk = forms[explained.task] in (OutcomeForm.TIME_TO_EVENT, OutcomeForm.LABELS)
        numbers = [_number(tasks[explained.task], explained) for tasks in forecasts]
        made.append(
            Changes(
                task=explained.task,
                outcome=explained.outcome,
                horizon=explained.horizon,
                unit=explained.unit,
                number=numbers[0],
                is_risk=is_risk,
                columns=tuple(_columns(patient, trials, numbers, is_risk)),
            )
        )
    return tuple(made)


@dataclass(frozen=True)
class _Trial:
    """Values that a column is given: texts, and [values, nodes] before scaling."""

    modality: Modality
    column: str
    nodes: slice
    texts: Sequence[str]
    values: Tensor


def _trials(federation: Federation, prepared: Preprocessing, patient: PatientBatch) -> Iterator[_Trial]:
    for modality in federation.modalities:
        used = patient.observed[modality.name][0] & prepared.spread[modality.name].isfinite()
        start = len(modality.columns)
        for node, column in enumerate(modality.columns):
            if column in modality.actionable and bool(used[node]):
                texts, values = _grid(modality, column)
                yield _Trial(modality, column, slice(node, node + 1), texts, values)
        for column, levels in modality.categories.items():
            nodes = slice(start, start + len(levels))
            start += len(levels)
            if column in modality.actionable and bool(used[nodes].any()):
                yield _Trial(modality, column, nodes, levels, torch.eye(len(levels)))


def _grid(modality: Modality, column: str) -> tuple[list[str], Tensor]:
    low, high = modality.range_of(column)
    grid = [low + (high - low) * step / (VALUES - 1) for step in range(VALUES)]
    values = torch.tensor([[modality.transformed(value)] for value in grid], dtype=torch.float32)
    return [f"{value:.4g}" for value in grid], values


def _columns(
    patient: PatientBatch, trials: Sequence[_Trial], numbers: Sequence[float], is_risk: bool
) -> Iterator[ChangedColumn]:
    row = 1
    for trial in trials:
        modality, column = trial.modality, trial.column
        here = numbers[row : row + len(trial.values)]
        row += len(trial.values)
        present = patient.values[modality.name][0, trial.nodes]
        is_category = column in modality.categories
        changed = [
            ChangedValue(value=text, number=number) for text, number in zip(trial.texts, here, strict=True)
        ]
        if is_category:
            shown = trial.texts[int(present.argmax())]
        else:
            shown = "" if modality.changes_values else f"{float(present[0]):.4g}"
        yield ChangedColumn(
            modality=modality.name,
            column=column,
            unit="" if is_category else modality.plausible_for(column).unit,
            value=shown,
            levels=is_category,
            values=tuple(changed),
            nearest=None
            if is_category or not is_risk
            else _nearest(present, trial.values, changed, numbers[0]),
        )


def _nearest(
    present: Tensor, values: Tensor, changed: Sequence[ChangedValue], number: float
) -> ChangedValue | None:
    """Return the change to the nearest value that lowers a number by enough."""
    wanted = number - LOWER_BY * abs(number)
    distances = (values - present).abs().sum(1).tolist()
    enough = [
        (distance, change)
        for distance, change in zip(distances, changed, strict=True)
        if change.number <= wanted
    ]
    return min(enough, key=lambda pair: pair[0])[1] if enough else None


def _number(forecast: Forecast, explained: Explanation) -> float:
    """Return the number of a forecast that was explained."""
    match forecast:
        case SurvivalForecast() if explained.horizon is not None:
            return forecast.risk[written(explained.horizon)]
        case OutcomeForecast():
            return forecast.probability[explained.outcome]
        case NumberForecast():
            return forecast.value
    raise TypeError(f"task {explained.task} has no number that was explained")
