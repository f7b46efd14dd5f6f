"""Findings and table of the robustness of models under perturbations."""

from simulations.report.plots.robustness_plots import NAMED
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.results.metrics import metric_name
from simulations.results.robustness import CohortRobustness, Condition
from simulations.results.schema import ARM_NAMES, MISSING, Arm

MEANINGS = {
    "feature noise": "normal noise on the values of held-out patients, in standard deviations of a column",
    "missing values": "share of the values of held-out patients that are taken away",
    "missing modality": "one kind of record taken away from all held-out patients",
    "label noise": "share of every hospital's training patients whose outcomes are exchanged among them",
    "labels kept": "share of every hospital's training patients whose outcomes are kept",
    "label skew": "patients divided anew among hospitals of the same sizes, with outcomes by a Dirichlet distribution; "
    "less alpha is more skew, and models of pooled patients see the same ones in another order",
    "unseen hospital": "a whole hospital held out, on other patients than without perturbation",
}


def robustness_findings(cohort: CohortRobustness, task: str) -> list[Statement]:
    """State for every kind of perturbation what the models lose at its hardest level."""
    return [
        Statement("robustness", text)
        for kind in cohort.by_kind()
        if (text := kind_finding(cohort, task, kind)) is not None
    ]


def kind_finding(cohort: CohortRobustness, task: str, kind: str) -> str | None:
    """State every model's score at the hardest level of a kind, and its change; None without.

    The hardest is the last level, and among names that at which the federated model is lowest.
    """
    conditions = cohort.by_kind()[kind]
    hardest = min(conditions, key=lambda of: _score(of, task)) if kind in NAMED else conditions[-1]
    changes = []
    for arm in cohort.arms(task):
        score, before = hardest.mean(task, arm), cohort.unperturbed(task, arm)
        if score is None:
            continue
        text = f"{ARM_NAMES[arm].removesuffix(', pooled')} {score:.3f}"
        changes.append(text if before is None else f"{text} ({_change(score - before)})")
    if not changes:
        return None
    level = f", {hardest.level}" if hardest.level else ""
    metric = metric_name(cohort.headlines[task])
    return f"{kind.capitalize()}{level}: {metric} {', '.join(changes)}."


def _score(condition: Condition, task: str) -> float:
    score = condition.mean(task, "federated")
    return float("inf") if score is None else score


def _change(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "as without"
    return f"{abs(difference):.3f} {'higher' if difference > 0 else 'lower'}"


def robustness_table(cohort: CohortRobustness, task: str) -> TextTable:
    """Table of every condition's scores, a column per model."""
    arms: list[Arm] = cohort.arms(task)
    rows = tuple(
        (
            f"{condition.kind}, {condition.level}" if condition.level else condition.kind,
            *(_cell(condition.mean(task, arm)) for arm in arms),
        )
        for condition in cohort.conditions
    )
    heads = ("Perturbation", *(ARM_NAMES[arm].removesuffix(", pooled") for arm in arms))
    caption = (
        f"{metric_name(cohort.headlines[task])} under perturbations, mean over seeds and folds. There are no "
        "intervals: differences of a few hundredths may be chance."
    )
    return TextTable(heads, rows, caption)


def _cell(score: float | None) -> str:
    return MISSING if score is None else f"{score:.3f}"
