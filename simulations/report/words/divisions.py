"""Table of groups that are judged apart, and the hospital for which the model is worst."""

from simulations.report.plots.style import readable
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.report.words.text import count_text
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import (
    ARM_NAMES,
    MISSING,
    UNKNOWN,
    Arm,
    GroupScores,
    SimulationResult,
    interval_text,
)
from simulations.results.spread import spread_over

MOST_ROWS = 12
"""Most groups of one division that the table shows; of more, those with the worst scores."""

_BESIDE: tuple[Arm, ...] = ("federated_linear", "pooled", "cox", "logistic", "ridge")


def division_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of the headline metric by hospital, sex and age, worst first; None without scores."""
    divided = {name: _worst_first(result, task, name) for name in result.divisions.get(task, {})}
    unjudged = {
        name: [(group, scores) for group, scores in groups.items() if scores.scores.get("federated") is None]
        for name, groups in result.divisions.get(task, {}).items()
    }
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
                MISSING if group.events is None else f"{group.events:,}",
                interval_text(group.scores.get("federated"), group.interval),
                *(interval_text(group.scores.get(arm), group.intervals.get(arm, UNKNOWN)) for arm in arms),
            )
            for name, group in [*groups[:MOST_ROWS], *unjudged[division][:MOST_ROWS]]
        ]
    metric = metric_name(result.outcomes[task].metric)
    caption = f"{metric} among held-out patients of one group, mean over folds; worst first, and last those "
    caption += "without a figure."
    caption += " Intervals are 95% bootstrap intervals. A group has a figure if five patients "
    caption += "are held out in a fold, and five in all have the event, and of classes five not."
    if hidden:
        caption += f" {hidden:,} groups with better scores are in result.json alone."
    heads = ("Group", "Patients", "Events", ARM_NAMES["federated"], *(ARM_NAMES[arm] for arm in arms))
    return TextTable(heads, tuple(rows), caption)


def worst_hospital(result: SimulationResult, task: str) -> list[Statement]:
    """Name the hospital whose patients the federated model ranks worst, and the spread."""
    hospitals = dict(_worst_first(result, task, "hospital"))
    spread = spread_over({name: group.scores["federated"] for name, group in hospitals.items()})
    everyone = len(result.divisions.get(task, {}).get("hospital", {}))
    if spread is None and everyone > 1:
        text = f"No hospital can be named the worst: {len(hospitals):,} of {count_text(everyone, 'hospital')} has "
        text += "enough held-out patients, and enough of either outcome, for a figure."
        return [Statement("no-worst-hospital", text)]
    if spread is None:
        return []
    group = hospitals[spread.worst]
    score = interval_text(spread.lowest, group.interval).replace("(", "(95% interval ")
    text = f"Worst of {spread.hospitals:,} hospitals: {spread.worst}, {score} among its {group.patients:,} held-out "
    text += "patients" if group.events is None else f"patients, {group.events:,} of them with the event"
    text += f". Best: {spread.best}, {spread.highest:.3f}; standard deviation over hospitals {spread.sd:.3f}."
    unjudged = len(result.hospitals) - spread.hospitals
    if unjudged > 0:
        text += (
            f" Without a figure, for want of held-out patients or events: {count_text(unjudged, 'hospital')}."
        )
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
