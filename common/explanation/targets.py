"""Numbers of a prediction that are explained: logarithms of odds, or of a cumulative hazard.

On these scales linear scores add up and a contribution is a factor of odds or of hazard, the same for rare and for
common outcomes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.patients.preprocessing import Preprocessing
from common.tasks.task import OutcomeForm, Task

LEAST_HAZARD = 1e-9
"""Least cumulative hazard: of a smaller one a logarithm says nothing."""


@dataclass(frozen=True)
class Explained:
    """One number of a task's prediction.

    Attributes:
        task: name of the task.
        outcome: what is explained, such as a class; empty for a time or a number.
        horizon: time by which the risk is explained; None without a time.
        unit: of the horizon or the number.
        scale: of the contributions.
        spread: difference on that scale that is large.
        of: logits [P, outputs] -> [P].
    """

    task: str
    outcome: str
    horizon: float | None
    unit: str
    scale: str
    spread: float
    of: Callable[[Tensor], Tensor]


def targets(
    federation: Federation,
    prepared: Preprocessing,
    horizons: Mapping[str, Sequence[float]],
    likeliest: Mapping[str, Tensor],
) -> list[Explained]:
    """List what is explained of a patient.

    They are the risk by every horizon, the likeliest class or adverse event, and the number.

    Args:
        federation: the agreement.
        prepared: the constants of the losses.
        horizons: survival task -> times.
        likeliest: task -> of the patient, [1, outputs], more for a likelier class or adverse event.

    Raises:
        InvalidContentError: for a task of another form.
    """
    return [
        target
        for task in federation.tasks
        for target in _of_task(
            task, prepared.cuts.get(task.name), horizons[task.name], likeliest[task.name][0]
        )
    ]


def likelihoods(federation: Federation, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return probabilities [P, outputs] of classes and adverse events; else the logits."""
    shares = {}
    for task in federation.tasks:
        outputs = logits[task.name].double()
        match task.form:
            case OutcomeForm.CLASSES:
                outputs = outputs.softmax(1)
            case OutcomeForm.LABELS:
                outputs = outputs.sigmoid()
        shares[task.name] = outputs
    return shares


def _of_task(
    task: Task, prepared: Tensor | None, horizons: Sequence[float], likeliest: Tensor
) -> list[Explained]:
    if task.form is OutcomeForm.TIME_TO_EVENT:
        return [target_of(task, prepared, time) for time in horizons]
    return [target_of(task, prepared, index=int(likeliest.argmax()))]


def target_of(task: Task, prepared: Tensor | None, horizon: float | None = None, index: int = 0) -> Explained:
    """Return one number of a task's prediction.

    Args:
        task: that predicts.
        prepared: the constants of its loss.
        horizon: time by which the risk is explained.
        index: of the class or label.

    Raises:
        InvalidContentError: for a task of another form.
    """
    name, unit = task.name, task.outcome_unit
    match task.form:
        case OutcomeForm.TIME_TO_EVENT if prepared is not None and horizon is not None:
            by = _hazard_by(horizon, prepared)
            return Explained(name, "", horizon, unit, "log cumulative hazard", 1.0, by)
        case OutcomeForm.CLASSES | OutcomeForm.LABELS:
            odds = _odds_of(index, alone=task.form is OutcomeForm.LABELS)
            return Explained(name, task.outcome_names[index], None, "", "log-odds", 1.0, odds)
        case OutcomeForm.NUMBER if prepared is not None:
            spread = float(prepared[1])
            return Explained(name, "", None, unit, unit, spread, lambda logits: logits[:, 0] * spread)
    what = "predicts something that is no time, class, label or number"
    raise InvalidContentError(f"task {task.name}", what, "predict without an explanation")


def _hazard_by(time: float, cuts: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the log cumulative hazard, with survival linear within an interval."""
    ends = torch.cat([torch.zeros(1), cuts])
    right = int(torch.searchsorted(ends, torch.tensor(time)).clamp(1, len(ends) - 1))
    share = float(((time - ends[right - 1]) / (ends[right] - ends[right - 1])).clamp(0, 1))

    def of(logits: Tensor) -> Tensor:
        lived = logsigmoid(-logits[:, :right].double()).cumsum(1)
        after = lived[:, -1]
        before = lived[:, -2] if right > 1 else torch.zeros_like(after)
        first, second = (torch.tensor(part, dtype=torch.double).log() for part in (1 - share, share))
        lived_until = torch.logaddexp(before + first, after + second)
        return (-lived_until).clamp(min=LEAST_HAZARD).log()

    return of


def _odds_of(index: int, alone: bool) -> Callable[[Tensor], Tensor]:
    """Return the log-odds of a label, or of a class against all others."""

    def of(logits: Tensor) -> Tensor:
        if alone:
            return logits[:, index]
        others = [other for other in range(logits.shape[1]) if other != index]
        return logits[:, index] - logits[:, others].logsumexp(1)

    return of
