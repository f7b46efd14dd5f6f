"""Facts about predictors, their preparation, outcomes and outputs."""

from collections.abc import Iterable
from typing import Any

from common.agreement.agreement import Agreement
from common.agreement.display_names import DisplayNames
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import LARGEST, Modality, Plausible
from common.counting import counted
from common.documents.facts.fact import Fact, Facts, Topic
from common.release.release import ModelRelease
from common.tasks.task import OutcomeForm, Task

SHOWN = 30
"""Columns of one unit and range that are named in the text; of more it has the number, and JSON the names."""


def input_facts(release: ModelRelease) -> Facts:
    """Collect what goes into the model, and what comes out."""
    agreement = release.agreement
    if not isinstance(agreement, Federation):
        return _other_facts(agreement)
    names = agreement.display_names
    return {
        Topic.PREDICTORS: Fact(
            "Predictors",
            tuple(line for modality in agreement.modalities for line in _predictors(modality, names)),
            [_columns(modality) for modality in agreement.modalities],
        ),
        Topic.PREPARATION: Fact("Preparation of predictors", _preparation(agreement)),
        Topic.MISSING: Fact(
            "Missing values",
            (
                "Nothing is imputed: a value that is missing enters as 0 after standardisation, with a mark that it was"
                " not observed.",
                "A modality that was not measured is left out of the network for that patient.",
                "A missing outcome leaves the patient out of the loss of that task alone; a censored time counts until"
                " then.",
            ),
        ),
        Topic.INPUT_CHECKS: Fact(
            "Checks of the input",
            (
                "Refused are values outside the plausible range of their column, unknown categories, and patients with"
                " less than half of the columns of every modality.",
            ),
        ),
        Topic.OUTCOMES: Fact(
            "Outcomes",
            tuple(_outcome(task, names) for task in agreement.tasks),
            [task.model_dump(mode="json") for task in agreement.tasks],
        ),
        Topic.OUTPUTS: Fact("Outputs", tuple(_output(task, release, names) for task in agreement.tasks)),
    }


def _other_facts(agreement: Agreement) -> Facts:
    """Collect the tables of a kind of record that has no modalities."""
    tables = {
        name: sorted(columns)
        for name, columns in agreement.tables.items()
        if name not in agreement.required_tables
    }
    lines = tuple(f"{name}: {counted(len(columns), 'column')}." for name, columns in tables.items())
    return {
        Topic.PREDICTORS: Fact("Predictors", lines, tables),
        Topic.PREPARATION: Fact("Preparation of predictors"),
        Topic.MISSING: Fact("Missing values"),
        Topic.INPUT_CHECKS: Fact("Checks of the input"),
        Topic.OUTCOMES: Fact("Outcomes", tuple(f"{name}." for name in agreement.task_names)),
        Topic.OUTPUTS: Fact("Outputs"),
    }


def _predictors(modality: Modality, names: DisplayNames) -> Iterable[str]:
    """Describe the columns of a modality, those of one unit and range together."""
    columns, categories = modality.columns, modality.categories
    alike: dict[str, list[str]] = {}
    for column in columns:
        label = names.column(modality.name, column)
        alike.setdefault(_range(modality.plausible_for(column)), []).append(label)
    parts = [f"{_few(labels)} ({about})" if about else _few(labels) for about, labels in alike.items()]
    for column, levels in categories.items():
        shown = ", ".join(names.level(modality.name, column, level) for level in levels)
        parts.append(f"{names.column(modality.name, column)} (one of {shown})")
    size = counted(len(columns) + len(categories), "column")
    yield (
        f"{names.modality(modality.name)}, {size} of the kind {modality.node_kind.name}: {'; '.join(parts)}."
    )


def _few(columns: list[str]) -> str:
    return ", ".join(columns) if len(columns) <= SHOWN else f"{len(columns):,} numbers"


def _range(plausible: Plausible) -> str:
    low, high = plausible.low, plausible.high
    ends = {
        (False, False): f"{low or 0:g} to {high or 0:g}",
        (False, True): f"from {low or 0:g}",
        (True, False): f"up to {high or 0:g}",
        (True, True): "",
    }[low is None, high is None]
    return ", ".join(filter(None, (plausible.unit, ends)))


def _columns(modality: Modality) -> dict[str, Any]:
    return {
        "modality": modality.name,
        "node": modality.node_kind.name,
        "transform": modality.transform,
        "clip": modality.clip,
        "scale": modality.scale,
        "columns": {
            column: modality.plausible_for(column).model_dump(exclude_none=True)
            for column in modality.columns
        },
        "categories": {column: list(levels) for column, levels in modality.categories.items()},
    }


def _preparation(federation: Federation) -> tuple[str, ...]:
    lines = []
    for modality in federation.modalities:
        steps = []
        if modality.transform != "none":
            steps.append("signed logarithm")
        if modality.clip is not None:
            steps.append(f"clipped to {modality.clip[0]:g} to {modality.clip[1]:g}")
        if modality.scale == "standard":
            steps.append("standardised by mean and standard deviation")
        lines.append(f"{modality.name}: {', '.join(steps) or 'as it is'}.")
    privacy = federation.privacy
    source = {
        None: "exact sums over the training patients of all hospitals",
        "declared": "typical ranges of the federation file, and not from patients",
        "noised": "sums over patients with noise",
        "public": "exact sums over patients, outside the privacy guarantee",
    }[None if privacy is None else privacy.statistics]
    return (
        *lines,
        f"Means and standard deviations are from {source}; standardised values end at {LARGEST:g} deviations.",
        "Categories become one input for each level. Numbers are not cut into classes.",
    )


def _outcome(task: Task, labels: DisplayNames) -> str:
    names = ", ".join(labels.outcome(task.name, name) for name in task.outcome_names)
    columns = ", ".join(labels.column(OUTCOMES, column) for column in task.columns)
    described = {
        OutcomeForm.TIME_TO_EVENT: f"time to an event in {task.outcome_unit}, with censoring",
        OutcomeForm.CLASSES: f"one of the classes {names}",
        OutcomeForm.LABELS: f"yes or no for each of {names}",
        OutcomeForm.NUMBER: f"a number in {task.outcome_unit or 'no unit'}",
        OutcomeForm.OTHER: f"an outcome of the kind {task.kind}",
    }[task.form]
    return f"{labels.task(task.name)}: {described}; from {columns} in the table of outcomes."


def _output(task: Task, release: ModelRelease, labels: DisplayNames) -> str:
    ends = release.preprocessing.get(f"cuts:{task.name}")
    reach = "" if ends is None or not len(ends) else f" up to {float(ends[-1]):.4g} {task.outcome_unit}"
    described = {
        OutcomeForm.TIME_TO_EVENT: f"curve of survival probabilities{reach}, and the risk by any time until then",
        OutcomeForm.CLASSES: "probability of each class",
        OutcomeForm.LABELS: "probability of each event",
        OutcomeForm.NUMBER: "expected number",
        OutcomeForm.OTHER: f"prediction of the kind {task.kind}",
    }[task.form]
    return f"{labels.task(task.name)}: {described}. No threshold turns it into a decision."
