"""Tables of the report, as text cells."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from common.pages.table import PageTable, table
from simulations.report.plots.style import readable
from simulations.report.words.text import (
    MINUS,
    count_text,
    difference_text,
    paired_text,
    range_text,
    spread_text,
)
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import (
    ARM_NAMES,
    MISSING,
    UNKNOWN,
    Arm,
    MetricSummary,
    SimulationResult,
    interval_text,
)


@dataclass(frozen=True)
class TextTable:
    """Table of text cells, of which the first names the row; `total` is an optional last row."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    total: tuple[str, ...] = ()


def shown(content: TextTable, mark_first: bool = False, words: Collection[int] = ()) -> Markup:
    """Write a table for a page.

    Args:
        content: the table.
        mark_first: whether the first row stands out.
        words: numbers of the columns, from 0 on, that hold words.
    """
    marked = frozenset({0}) if mark_first else frozenset()
    rows = PageTable(
        content.heads,
        content.rows,
        content.caption,
        words=frozenset(words),
        marked=marked,
        total=content.total,
    )
    return table(rows)


def first_columns(content: TextTable, columns: int) -> TextTable:
    """Return the table with its first columns alone."""
    rows = tuple(row[:columns] for row in content.rows)
    return TextTable(content.heads[:columns], rows, content.caption, content.total[:columns])


def results_table(result: SimulationResult, task: str) -> TextTable:
    """Table of a task's arms: headline metric, interval, paired difference, other metrics."""
    headline = result.outcomes[task].metric
    arms = result.arms(task)
    scored = dict.fromkeys(metric for arm in arms for metric in result.tasks[task][arm])
    others = [metric for metric in scored if metric != headline]
    compared = result.compared(task)
    rows = []

    def add(name: str, metrics: dict[str, MetricSummary], difference: str) -> None:
        first = metrics.get(headline)
        rest = (spread_text(metrics.get(metric)) for metric in others)
        beside = (difference,) if compared else ()
        rows.append((name, spread_text(first), range_text(first), *beside, *rest))

    for arm in arms:
        add(ARM_NAMES[arm], result.tasks[task][arm], difference_text(result, task, arm))
        for run in result.planned if arm == "federated" else ():
            add(run.name, run.tasks.get(task, {}), paired_text(run.paired.get(task)))
    beside = (f"Federated {MINUS} arm",) if compared else ()
    heads = ("Arm", metric_name(headline), "95% interval", *beside)
    caption = f"{(result.outcomes[task].size or 'held-out patients').capitalize()}; mean"
    caption += " ± standard deviation over folds." if len(result.folds) > 1 else " (one fold)."
    caption += " Intervals, also those in brackets, are 95% bootstrap intervals."
    for metric in filter(lower_is_better, others):
        title = metric_name(metric)
        caption += f" A lower {title[0].lower()}{title[1:]} is better."
    return TextTable((*heads, *(metric_name(name) for name in others)), tuple(rows), caption)


def group_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of the headline metric by subgroup and arm; None without subgroups."""
    summaries: dict[Arm, MetricSummary] = {
        arm: summary for arm in result.arms(task) if arm != "null" and (summary := result.headline(task, arm))
    }
    groups = sorted({group for summary in summaries.values() for group in summary.groups})
    if len(groups) < 2:
        return None
    rows = (
        (group, *(interval_text(summary.groups.get(group), UNKNOWN) for summary in summaries.values()))
        for group in groups
    )
    heads = ("Subgroup", *(ARM_NAMES[arm].removesuffix(", pooled") for arm in summaries))
    caption = f"{metric_name(result.outcomes[task].metric)} within subgroups, mean over folds."
    return TextTable(heads, tuple(rows), caption)


def site_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of each hospital's own model beside the federated one, best first; None without any."""
    sites = result.sites.get(task)
    if not sites:
        return None
    rows = []
    for name, site in sorted(sites.items(), key=lambda named: -(named[1].local or -1)):
        figures = (interval_text(getattr(site, arm), site.intervals.get(arm, UNKNOWN)) for arm in _BESIDE)
        rows.append((name, f"{site.labelled:,}", *figures, paired_text(site.gain)))
    held_out = sum(site.held_out for site in sites.values())
    caption = (
        f"{metric_name(result.outcomes[task].metric)} of each hospital's own model and of the federated one on the "
        f"{held_out:,} labelled held-out patients of all hospitals, with 95% bootstrap intervals; gain is federated "
        "minus own, on the same patients."
    )
    return TextTable(("Hospital", "Labelled", "Own model", "Federated", "Gain"), tuple(rows), caption)


def own_patients_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of both models on each hospital's own held-out patients; None without own models.

    The hospital with most held-out patients is first.
    """
    sites = result.sites.get(task, {})
    if len(sites) < 2 or not any(site.local is not None for site in sites.values()):
        return None
    rows: list[tuple[str, ...]] = []
    for name, site in sorted(sites.items(), key=lambda named: -named[1].held_out):
        judged = site.own_patients
        if judged is None:
            rows.append((name, f"{site.held_out:,}", MISSING, MISSING, MISSING, TOO_FEW))
            continue
        figures = (interval_text(getattr(judged, arm), judged.intervals.get(arm, UNKNOWN)) for arm in _BESIDE)
        events = MISSING if judged.events is None else f"{judged.events:,}"
        rows.append((name, f"{judged.patients:,}", events, *figures, paired_text(judged.gain)))
    metric = metric_name(result.outcomes[task].metric)
    caption = (
        f"{metric} of each hospital's own model and of the federated one on the hospital's own held-out patients, with "
        "95% bootstrap intervals; gain is federated minus own, over the same draws of patients. A hospital has figures "
        "if five patients are held out in a fold, and five in all have the event, and of classes five not."
    )
    heads = ("Hospital", "Held-out patients", "Events", "Own model", "Federated", "Gain")
    return TextTable(heads, tuple(rows), caption)


TOO_FEW = "too few"
"""Cell of a hospital without figures on its own patients."""


_BESIDE: tuple[Literal["local", "federated"], ...] = ("local", "federated")
"""Models of a hospital's row."""


def cohort_table(result: SimulationResult) -> TextTable:
    """Table of patients, events and modality coverage by hospital."""
    hospitals = result.hospitals
    modalities = list(dict.fromkeys(name for hospital in hospitals.values() for name in hospital.modalities))
    tasks = [task for task in result.tasks if any(task in hospital.events for hospital in hospitals.values())]
    held = [
        task for task in result.tasks if any(task in hospital.held_out for hospital in hospitals.values())
    ]
    rows = [
        (
            name,
            f"{hospital.patients:,}",
            *(_count(hospital.events, task) for task in tasks),
            *(_count(hospital.held_out, task) for task in held),
            *(_share(hospital.modalities.get(modality, 0), hospital.patients) for modality in modalities),
        )
        for name, hospital in hospitals.items()
    ]
    everyone = sum(hospital.patients for hospital in hospitals.values())
    total = (
        count_text(len(hospitals), "hospital"),
        f"{everyone:,}",
        *(f"{sum(hospital.events.get(task, 0) for hospital in hospitals.values()):,}" for task in tasks),
        *(f"{sum(hospital.held_out.get(task, 0) for hospital in hospitals.values()):,}" for task in held),
        *(
            _share(sum(hospital.modalities.get(m, 0) for hospital in hospitals.values()), everyone)
            for m in modalities
        ),
    )
    heads = (
        *("Hospital", "Patients"),
        *(f"Events, {readable(task)}" for task in tasks),
        *(f"Held out, {readable(task)}" for task in held),
        *map(readable, modalities),
    )
    caption = "Patients and events by hospital, and the share of patients in whom a modality was observed."
    if held:
        caption += " Held out: patients with a label of a task in the test sets."
    return TextTable(heads, tuple(rows), caption, total)


def fold_table(result: SimulationResult) -> TextTable:
    """Table of the folds: status, rounds and time."""
    rows = (
        (
            str(number),
            fold.status,
            str(fold.rounds),
            MISSING if fold.best_round is None else str(fold.best_round),
            MISSING if fold.seconds_per_round is None else f"{fold.seconds_per_round:.2f}",
        )
        for number, fold in enumerate(result.folds, 1)
    )
    heads = ("Fold", "Status", "Rounds", "Round kept", "Seconds per round")
    caption = f"Status and rounds of the folds. The round kept is {_KEPT[result.kept]}."
    return TextTable(heads, tuple(rows), caption)


_KEPT = {
    "latest": "the latest round within one standard error of the lowest validation loss",
    "mean": "the mean over the second half of the rounds, as no loss leaves a hospital under differential privacy",
}


def _count(counts: dict[str, int], task: str) -> str:
    return f"{counts[task]:,}" if task in counts else MISSING


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else MISSING
