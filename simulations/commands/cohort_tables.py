"""Tables of a cohort by modality and task, from the passports of its sites."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from common.families.family import Words
from common.folding_table import FoldingTable
from simulations.results.schema import MISSING

Report = dict[str, Any]
"""Passport of a site (`client.families.reader.Reader`) with its `units`, or only its name if it is not readable, and
its problems."""


def tables(reports: list[Report], words: Words) -> Iterator[FoldingTable | str]:
    """Yield a heading, the table of modalities and a table for every task.

    Args:
        reports: of all sites; one at least has `modalities` and `tasks`, by the same names at every site.
        words: names of the unit that is counted.
    """
    readable = [report for report in reports if "modalities" in report]
    yield (
        f"Number of {words.plural}, and of {words.plural} with each modality "
        "(share of their cells that is missing):"
    )
    yield _modalities_table(reports, list(readable[0]["modalities"]), words)
    for task in readable[0]["tasks"]:
        yield _task_table(readable, task)


def _modalities_table(reports: list[Report], modalities: list[str], words: Words) -> FoldingTable:
    """Units of every site by modality, with the share of missing cells."""
    table = _table("site", words.plural, *modalities)
    for report in reports:
        if "units" in report:
            cells = [_coverage(seen) for seen in report["modalities"].values()]
            table.add_row(Text(report["site"]), f"{report['units']:,}", *cells)
        else:
            table.add_row(Text(report["site"]), "unreadable", style="red")
    return table


def _task_table(readable: list[Report], task: str) -> FoldingTable:
    """Labelled units of every site for a task, and counts of each event, class or label."""
    outcomes = [name for name in readable[0]["tasks"][task] if name != "labelled"]
    table = _table(task, "labelled", *outcomes)
    for report in readable:
        counts = report["tasks"][task].values()
        table.add_row(Text(report["site"]), *(f"{count:,}" for count in counts))
    return table


def _table(first: str, *others: str) -> FoldingTable:
    table = FoldingTable()
    table.add_column(Text(first))
    for head in others:
        table.add_column(Text(head), justify="right", vertical="bottom")
    return table


def _coverage(seen: dict[str, Any]) -> str:
    return f"{seen['patients']:,} ({seen['missing']:.0%})" if seen["patients"] else MISSING
