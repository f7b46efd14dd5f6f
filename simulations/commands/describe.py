"""Command `consilium cohort describe`: counts of a cohort as the federation will see it."""

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.data.cohort import passport
from client.data.inspection import inspect_cohort
from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import InputError, MissingFileError
from common.tasks.task import Task
from simulations.cohorts.folders import find_sites
from simulations.results.schema import MISSING

Report = dict[str, Any]
"""Passport of a site (`client.data.cohort.passport`), or only its name if it is not readable, and its problems."""


def describe(folder: Path, federation_file: Path | None, as_json: bool) -> bool:
    """Print every site's passport and problems, and return whether there were no problems.

    Raises:
        InputError: if there is no federation file or no site folder.
    """
    federation = load(federation_file or _federation_file(folder))
    sites = [folder] if (folder / SITE_FILE).is_file() else find_sites(folder)
    reports = [_report(site, federation) for site in sites]
    if as_json:
        print(json.dumps(reports, indent=2))
    else:
        _print(reports, federation)
    return not any(report["problems"] for report in reports)


def _federation_file(folder: Path) -> Path:
    for path in (folder / FILE_NAME, folder.resolve().parent / FILE_NAME):
        if path.is_file():
            return path
    raise MissingFileError(
        str(folder), f"there is no {FILE_NAME} in this folder or in its parent", "name it with --federation"
    )


def _report(site: Path, federation: Federation) -> Report:
    try:
        cohort, problems = inspect_cohort(site, federation)
    except InputError as error:
        cohort, problems = None, [error]
    seen: Report = {"site": site.resolve().name} if cohort is None else passport(cohort, federation)
    return seen | {"problems": [str(problem) for problem in problems]}


def _print(reports: list[Report], federation: Federation) -> None:
    console = Console(highlight=False, markup=False)
    console.print(
        "Number of patients, and of patients with each modality (share of their cells that is missing):"
    )
    console.print(_modalities_table(reports, federation))
    if any("patients" in report for report in reports):
        for task in federation.tasks:
            console.print(_task_table(reports, task))
    for report in reports:
        for name, seen in report.get("modalities", {}).items():
            if seen["unmatched"]:
                rows = _counted(seen["unmatched"], "row")
                console.print(
                    f"{report['site']}: {name} has {rows} without outcomes, left out.", soft_wrap=True
                )
        for problem in report["problems"]:
            console.print(Text(f"{report['site']}: {problem}", style="red"), soft_wrap=True)
    patients = sum(report.get("patients", 0) for report in reports)
    problems = sum(len(report["problems"]) for report in reports)
    counts = (_counted(len(reports), "site"), _counted(patients, "patient"))
    console.print(f"{federation.name}: {', '.join(counts)}, {_counted(problems, 'problem')}.")


def _modalities_table(reports: list[Report], federation: Federation) -> Table:
    """Patients of every site by modality, with the share of missing cells."""
    table = _table("site", "patients", *(modality.name for modality in federation.modalities))
    for report in reports:
        if "patients" in report:
            cells = [_coverage(seen) for seen in report["modalities"].values()]
            table.add_row(Text(report["site"]), f"{report['patients']:,}", *cells)
        else:
            table.add_row(Text(report["site"]), "unreadable", style="red")
    return table


def _task_table(reports: list[Report], task: Task) -> Table:
    """Labelled patients of every site for a task, and counts of each event, class or label."""
    readable = [report for report in reports if "patients" in report]
    outcomes = [name for name in readable[0]["tasks"][task.name] if name != "labelled"]
    table = _table(task.name, "labelled", *outcomes)
    for report in readable:
        counts = report["tasks"][task.name].values()
        table.add_row(Text(report["site"]), *(f"{count:,}" for count in counts))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True)
    table.add_column(Text(first), overflow="ellipsis", no_wrap=True, max_width=40)
    for head in others:
        table.add_column(Text(head), justify="right", overflow="fold", vertical="bottom")
    return table


def _coverage(seen: dict[str, Any]) -> str:
    return f"{seen['patients']:,} ({seen['missing']:.0%})" if seen["patients"] else MISSING


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
