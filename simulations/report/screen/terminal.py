"""Results of an experiment as tables on the terminal."""

from rich.console import Console
from rich.text import Text

from common.folding_table import FoldingTable
from simulations.report.words.absences import figure_gaps
from simulations.report.words.activity import activity_table, idle_warning
from simulations.report.words.divisions import division_table, worst_hospital
from simulations.report.words.privacy import spent_text
from simulations.report.words.tables import TextTable, first_columns, own_patients_table, site_table
from simulations.report.words.text import (
    beside_null,
    difference_text,
    paired_text,
    range_text,
    spread_text,
)
from simulations.results.metrics import metric_name
from simulations.results.schema import ARM_NAMES, MISSING, SimulationResult


def print_results(result: SimulationResult, console: Console) -> None:
    """Print the arms of every task beside the federated model, and each hospital's own model."""
    for task in result.tasks:
        console.print(Text(f"{task}, {result.outcomes[task].size or 'held-out patients'}", style="bold"))
        console.print(_arm_table(result, task))
        for statement in (*beside_null(result, task), *worst_hospital(result, task)):
            console.print(Text(statement.text))
        if groups := division_table(result, task):
            metric = metric_name(result.outcomes[task].metric)
            console.print(Text(f"{task}, {metric} among held-out patients of one group", style="bold"))
            console.print(_text_table(first_columns(groups, _GROUP_COLUMNS)))
        if beside := own_patients_table(result, task):
            metric = metric_name(result.outcomes[task].metric)
            title = f"{task}, {metric} of each hospital's own model and the federated one on its own held-out patients"
            console.print(Text(title, style="bold"))
            console.print(_text_table(beside))
        if sites := site_table(result, task):
            metric = metric_name(result.outcomes[task].metric)
            title = f"{task}, {metric} of each hospital's own model on the held-out patients of all hospitals"
            console.print(Text(title, style="bold"))
            console.print(_text_table(sites))
            for gap in figure_gaps(result, task):
                console.print(Text(gap.text))
    if parts := activity_table(result):
        console.print(Text("parts of the federated network, training patients", style="bold"))
        console.print(_text_table(parts))
    if idle := idle_warning(result):
        console.print(Text(idle.text))
    for run in result.privacy:
        console.print(Text(spent_text(run)))
    for note in result.notes:
        console.print(Text(note))


_GROUP_COLUMNS = 4
"""Columns of the table of groups that fit in a terminal: those of the federated model."""


def _text_table(content: TextTable) -> FoldingTable:
    """Table of text cells, without its caption."""
    table = FoldingTable()
    table.add_column(content.heads[0])
    for head in content.heads[1:]:
        table.add_column(head, justify="right")
    for row in filter(None, (*content.rows, content.total)):
        table.add_row(*map(Text, row))
    return table


def _arm_table(result: SimulationResult, task: str) -> FoldingTable:
    """Table of a task's arms in the headline metric, with intervals and differences."""
    metric = metric_name(result.outcomes[task].metric)
    table = FoldingTable()
    table.add_column("Arm")
    compared = result.compared(task)
    for head in (metric, "95% interval", *(["Federated - arm (95% interval)"] if compared else [])):
        table.add_column(head, justify="right")
    for arm in result.arms(task):
        summary = result.headline(task, arm)
        table.add_row(
            ARM_NAMES[arm],
            spread_text(summary),
            range_text(summary),
            *([difference_text(result, task, arm)] if compared else []),
            style="bold" if arm == "federated" else "",
        )
        if arm == "federated":
            for run in result.planned:
                private = result.private_headline(task, run)
                paired = paired_text(run.paired.get(task))
                table.add_row(run.name, spread_text(private), range_text(private), paired)
    return table


def score_text(value: float | None) -> str:
    """Format a score with three decimals, or as missing."""
    return MISSING if value is None or value != value else f"{value:.3f}"
