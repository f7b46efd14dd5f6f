"""Table of groups that are judged apart, and the hospital for which the model is worst."""

from simulations.report.plots.style import readable
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import (
    ARM_NAMES,
    UNKNOWN,
    Arm,
    GroupScores,
    SimulationResult,
    interval_text,
)

MOST_ROWS = 12
"""Most groups of one division that the table shows; of more, those with the worst scores."""

_BESIDE: tuple[Arm, ...] = ("federated_linear", "pooled", "cox", "logistic")


def division_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of the headline metric by hospital, sex and age, worst first; None without scores."""
    divided = {name: _worst_first(result, task, name) for name in result.divisions.get(task, {})}
    if not any(divided.values()):
        return None
    arms = [arm for arm in _BESIDE if arm in result.arms(task)]
    rows = []
    hidden = 0
    for division, groups in divided.items():
        hidden += max(0, len(groups) - MOST_ROWS)
        rows += [
            (
                f"{readable(division)}: {name}",
                f"{group.patients:,}",
                interval_text(group.scores["federated"], group.interval),
                *(interval_text(group.scores.get(arm), group.intervals.get(arm, UNKNOWN)) for arm in arms),
            )
            for name, group in groups[:MOST_ROWS]
        ]
    metric = metric_name(result.outcomes[task].metric)
    caption = f"{metric} among held-out patients of one group, mean over folds; worst first."
    caption += " Intervals are 95% bootstrap intervals."
    if hidden:
        caption += f" {hidden:,} groups with better scores are in result.json alone."
    heads = ("Group", "Patients", ARM_NAMES["federated"], *(ARM_NAMES[arm] for arm in arms))
    return TextTable(heads, tuple(rows), caption)


def worst_hospital(result: SimulationResult, task: str) -> list[Statement]:
    """State for which hospital's patients the federated model is worst, where there are several."""
    hospitals = _worst_first(result, task, "hospital")
    if len(hospitals) < 2:
        return []
    name, group = hospitals[0]
    score = interval_text(group.scores["federated"], group.interval).replace("(", "(95% interval ")
    text = f"Worst of {len(hospitals):,} hospitals: {name}, {score} among its {group.patients:,} held-out patients."
    return [Statement("worst-hospital", text)]


def _worst_first(result: SimulationResult, task: str, division: str) -> list[tuple[str, GroupScores]]:
    """(group, scores) of a division whose federated score is defined."""
    metric = result.outcomes[task].metric
    groups = result.divisions.get(task, {}).get(division, {})
    scored = [
        (score, name, group)
        for name, group in groups.items()
        if (score := group.scores.get("federated")) is not None
    ]
    scored.sort(key=lambda scored_group: scored_group[0], reverse=lower_is_better(metric))
    return [(name, group) for _, name, group in scored]
