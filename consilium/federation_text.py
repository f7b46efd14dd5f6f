"""Federation file in words: what hospitals are asked, and what changes between two files."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from common.agreement.agreement import Agreement
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.labels import column_label, level_label, modality_label, task_label
from common.agreement.modalities import Modality
from common.counting import counted
from common.privacy.accounting import spend
from common.privacy.planning import planned_releases
from common.word_code import word_code

SHOWN = 40
"""Columns of a modality that are named one by one."""

MORE_LEAVES = ("privacy", "statistics", "wire", "training.linear_rounds", "training.rounds")
"""Sections and keys that change what leaves a hospital."""


def explained(agreement: Agreement) -> Iterator[str]:
    """Say what every hospital will be asked, what leaves, how often, and under which privacy."""
    training, rounds = agreement.training, agreement.rounds
    yield f"Federation {agreement.name}, hash {agreement.digest} ({word_code(agreement.digest)})."
    names = ", ".join(participant.name for participant in agreement.participants)
    yield f"Hospitals: {names}; {counted(agreement.quorum, 'reply', 'replies')} make a round."
    yield ""
    yield "Every hospital is asked for:"
    yield from _asked(agreement)
    yield f"  - {agreement.minimum_patients} patients or more; with fewer it takes no part"
    yield ""
    yield "What leaves a hospital, and how often:"
    yield f"  - in each of {counted(training.rounds, 'round')}, what training made of the model's weights"
    yield from _leaving(agreement)
    yield f"  - replies are awaited for {rounds.deadline_s:g} s; no row and no identifier ever leaves"
    yield ""
    yield f"Privacy: {_privacy(agreement)}"


def _asked(agreement: Agreement) -> Iterator[str]:
    if not isinstance(agreement, Federation):
        yield from (f"  - {name}: {', '.join(sorted(columns))}" for name, columns in agreement.tables.items())
        return
    for modality in agreement.modalities:
        yield f"  - a table {modality_label(agreement, modality.name)}, one row per patient, if it has one:"
        columns = list(_columns(agreement, modality))
        yield from (f"      {column}" for column in columns[:SHOWN])
        if len(columns) > SHOWN:
            yield f"      and {len(columns) - SHOWN:,} more"
    for task in agreement.tasks:
        columns = [column_label(agreement, OUTCOMES, column) for column in task.columns]
        unit = f" in {task.outcome_unit}" if task.outcome_unit else ""
        names = f", one of {', '.join(task.outcome_names)}" if task.classes_of else ""
        yield f"  - outcome {task_label(agreement, task.name)} ({task.kind}): {', '.join(columns)}{unit}{names}"


def _columns(federation: Federation, modality: Modality) -> Iterator[str]:
    for column in modality.columns:
        plausible = modality.plausible_for(column)
        ends = [plausible.low, plausible.high]
        within = "" if None in ends else f" from {ends[0]:g} to {ends[1]:g}"
        number = f"a number{f' in {plausible.unit}' if plausible.unit else ''}{within}"
        yield f"{column_label(federation, modality.name, column)}: {number}"
    for column, levels in modality.categories.items():
        names = ", ".join(level_label(federation, modality.name, column, level) for level in levels)
        yield f"{column_label(federation, modality.name, column)}: one of {names}"


def _leaving(agreement: Agreement) -> Iterator[str]:
    least, privacy = agreement.statistics.minimum_count, agreement.privacy
    if agreement.linear_rounds:
        yield f"  - in the first {agreement.linear_rounds} of them, exact gradients of the linear scores instead"
    if privacy is None:
        yield f"  - once, counts and sums of columns behind which {least} patients or more stand"
        yield "  - every round, sums of losses with noise, and the number of patients"
        yield "  - once at the end, sums about the trained model, unless the hospital's policy declines"
    elif privacy.statistics != "declared":
        exact = (
            "exact sums of columns, outside the guarantee"
            if privacy.statistics == "public"
            else "noised sums"
        )
        yield f"  - once, {exact}"


def _privacy(agreement: Agreement) -> str:
    privacy = agreement.privacy
    if privacy is None:
        return (
            "none is promised. Weights and sums can tell of single patients; every hospital's approval says so, and a "
            "hospital whose policy demands privacy declines."
        )
    cost = spend(planned_releases(privacy, agreement.training.rounds), privacy.delta).epsilon
    said = f"epsilon {cost:.2f} at delta {privacy.delta:g}" if math.isfinite(cost) else "no guarantee"
    return f"{said} per patient for a whole run, by noise that each hospital adds itself."


def changes(old: Agreement, new: Agreement) -> list[dict[str, Any]]:
    """List what changed between two files: key, both values, and what it means for hospitals."""
    before, after = _flat(old.data()), _flat(new.data())
    return [
        {"key": key, "old": before.get(key), "new": after.get(key), "means": _meaning(key, old, new)}
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _meaning(key: str, old: Agreement, new: Agreement) -> str:
    if key.startswith("privacy") and (old.privacy is None) != (new.privacy is None):
        return "less leaves: privacy begins" if old.privacy is None else "more leaves: privacy ends"
    if key.startswith(("display_names", "name")):
        return "only words change"
    if key.startswith(("modalities", "tasks")):
        return "other columns may be read: hospitals look at their tables again"
    if key.startswith("participants"):
        return "other hospitals, sizes or keys"
    if key.startswith(MORE_LEAVES):
        return "what leaves changes"
    return "training changes, and no other kind of number leaves"


def difference_lines(old: Agreement, new: Agreement) -> Iterator[str]:
    """Write the changes as lines, with what every hospital has to do."""
    changed = changes(old, new)
    if not changed:
        yield "The two files say the same; no hospital has to approve anything."
        return
    for change in changed:
        yield f"{change['key']}: {_said(change['old'])} -> {_said(change['new'])}; {change['means']}"
    yield ""
    yield f"Hash {old.digest} ({word_code(old.digest)}) becomes {new.digest} ({word_code(new.digest)})."
    yield "Every hospital has to approve the new file before it takes part."


def _said(value: object) -> str:
    return "not there" if value is None else str(value)


def _flat(data: object, path: str = "") -> dict[str, object]:
    if isinstance(data, Mapping):
        parts = {f"{path}.{key}".lstrip("."): value for key, value in data.items()}
    elif isinstance(data, list) and any(isinstance(part, Mapping) for part in data):
        parts = {f"{path}.{_named(part, number)}": part for number, part in enumerate(data)}
    else:
        return {path: data}
    return {key: leaf for inner, value in parts.items() for key, leaf in _flat(value, inner).items()}


def _named(part: object, number: int) -> str:
    """Name an entry of a list by its name, so that one that was inserted moves no other."""
    return str(part["name"]) if isinstance(part, Mapping) and "name" in part else str(number)
