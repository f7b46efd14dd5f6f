"""New federation files, from a kind of study and a data dictionary."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from common.agreement.agreement import validated
from common.agreement.display_names import LONGEST_LABEL
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.privacy_settings import Privacy
from common.errors import OptionError
from common.privacy.planning import plan_noise, with_privacy
from consilium.dictionary import DictionaryColumn

TYPICAL_FOLLOW_UP = {"days": 3650.0, "months": 120.0, "years": 10.0}
"""Longest plausible follow-up where nobody says another: ten years."""


class StudyKind(StrEnum):
    """Kind of study that a file is drafted for."""

    SURVIVAL = "survival"
    RESPONSE = "response"
    TOXICITY = "toxicity"


@dataclass(frozen=True)
class StudyPlan:
    """Answers from which a federation file is drafted.

    Attributes:
        name: of the federation.
        hospitals: their names.
        study: kind of outcome.
        outcomes: time and event; the class; or the adverse events.
        unit: of the time.
        longest: longest plausible follow-up; None for ten years.
        classes: of a response, the last one being the response.
        patients: the most patients of a hospital; None to declare none.
        epsilon: that a whole run may cost; None for no privacy.
    """

    name: str
    hospitals: Sequence[str]
    study: StudyKind
    outcomes: Sequence[str]
    unit: str = "months"
    longest: float | None = None
    classes: Sequence[str] = ()
    patients: int | None = None
    epsilon: float | None = None


def drafted(plan: StudyPlan, columns: Sequence[DictionaryColumn]) -> Federation:
    """Draft a federation file of one clinical table.

    Args:
        plan: the answers.
        columns: of a data dictionary; those of outcomes do not become columns of the table.

    Raises:
        InputError: if the answers do not make a file.
    """
    inputs = [column for column in columns if column.name not in plan.outcomes]
    if not inputs:
        what = "has no column beside the outcomes"
        raise OptionError("--dictionary", what, "name the columns from which the model shall predict")
    participants = [
        {"name": name} | ({} if plan.patients is None else {"patients": plan.patients})
        for name in plan.hospitals
    ]
    names = _display_names(columns, plan)
    data: dict[str, Any] = {
        "name": plan.name,
        "modalities": [_modality(inputs)],
        "tasks": [_task(plan, {column.name: column for column in columns})],
        "participants": participants,
        **({"display_names": names} if names else {}),
    }
    federation = validated(Federation, data, "the new federation file")
    if plan.epsilon is None:
        return federation
    if plan.patients is None:
        raise OptionError("--epsilon", "needs the patients of a hospital", "give --patients too")
    proposed = Privacy(noise_multiplier=1.0, sampling_rate=1.0, expected_batch_size=float(plan.patients))
    try:
        privacy = plan_noise(plan.epsilon, federation.training.rounds, proposed)
    except ValueError as error:
        raise OptionError("--epsilon", str(error), "give a larger one") from None
    return with_privacy(federation, privacy)


def _modality(columns: Sequence[DictionaryColumn]) -> dict[str, Any]:
    numbers = [column for column in columns if not column.levels]
    ranges = {
        column.name: {
            key: value
            for key, value in (("unit", column.unit), ("low", column.low), ("high", column.high))
            if value not in ("", None)
        }
        for column in numbers
    }
    return {
        "name": "clinical",
        "node": "clinical",
        "columns": [column.name for column in numbers],
        "categories": {column.name: list(column.levels) for column in columns if column.levels},
        "ranges": {name: facts for name, facts in ranges.items() if facts},
    }


def _task(plan: StudyPlan, columns: dict[str, DictionaryColumn]) -> dict[str, Any]:
    task: dict[str, Any] = {"kind": plan.study.value, "name": plan.study.value}
    if plan.study is StudyKind.SURVIVAL:
        if len(plan.outcomes) != 2:
            raise OptionError(
                "--outcome", "has to be given twice", "name the column of the time, then that of the event"
            )
        time, event = plan.outcomes
        longest = plan.longest or (columns[time].high if time in columns else None)
        if plan.unit not in TYPICAL_FOLLOW_UP:
            raise OptionError("--unit", "is none of days, months and years", "write one of them")
        return task | {
            "time": time,
            "event": event,
            "unit": plan.unit,
            "longest": longest or TYPICAL_FOLLOW_UP[plan.unit],
        }
    if plan.study is StudyKind.TOXICITY:
        return task | {"labels": list(plan.outcomes)}
    label = plan.outcomes[0]
    classes = plan.classes or (list(columns[label].levels) if label in columns else ())
    if len(classes) < 2:
        raise OptionError(
            "--classes", "has fewer than two classes", "write them as no,yes, the response last"
        )
    return task | {"label": label, "classes": list(classes)}


def _display_names(columns: Sequence[DictionaryColumn], plan: StudyPlan) -> dict[str, Any]:
    """Labels of columns and levels, where they are words of their own."""
    inputs: dict[str, str] = {}
    outcomes: dict[str, str] = {}
    levels: dict[str, dict[str, str]] = {}
    for column in columns:
        target = outcomes if column.name in plan.outcomes else inputs
        label = " ".join(column.label.split())[:LONGEST_LABEL].strip()
        if label and label.casefold() not in {words.casefold() for words in target.values()}:
            target[column.name] = label
        words = {level: said[:LONGEST_LABEL] for level, said in column.levels.items() if said != level}
        if (
            words
            and column.name not in plan.outcomes
            and len(set(map(str.casefold, words.values()))) == len(words)
        ):
            levels[column.name] = words
    tables = {name: labels for name, labels in (("clinical", inputs), (OUTCOMES, outcomes)) if labels}
    named: dict[str, Any] = {"columns": tables} if tables else {}
    return named | ({"levels": {"clinical": levels}} if levels else {})
