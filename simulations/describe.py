"""`consilium cohort describe`: a cohort as the federation would see it, in counts."""

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from client.cohort import SITE_FILE, inspect_cohort, passport
from common.errors import InputError
from common.federation import FILE_NAME, Federation, load
from simulations.cohorts.folders import find_sites


def describe(folder: Path, federation_file: Path | None, as_json: bool) -> bool:
    """Print every site's passport and problems; returns whether there were none.

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
    for place in (folder / FILE_NAME, folder.parent / FILE_NAME):
        if place.is_file():
            return place
    raise InputError(str(folder), f"there is no {FILE_NAME} in it or above it", "name it with --federation")


def _report(site: Path, federation: Federation) -> dict[str, Any]:
    try:
        cohort, problems = inspect_cohort(site, federation)
    except InputError as error:
        cohort, problems = None, [error]
    seen: dict[str, Any] = {"site": site.name} if cohort is None else passport(cohort, federation)
    return seen | {"problems": [str(problem) for problem in problems]}


def _print(reports: list[dict[str, Any]], federation: Federation) -> None:
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, title=f"{federation.name}: {len(reports)} sites")
    table.add_column("site")
    table.add_column("patients", justify="right")
    for task in federation.tasks:
        table.add_column(
            f"{task.name}: labelled\n({'events' if task.kind == 'survival' else 'cases'})", justify="right"
        )
    for modality in federation.modalities:
        table.add_column(f"{modality.name}\npatients (missing)", justify="right")
    for report in reports:
        if "patients" not in report:
            table.add_row(report["site"], "not readable")
            continue
        table.add_row(
            report["site"],
            str(report["patients"]),
            *(_task_cell(counts) for counts in report["tasks"].values()),
            *(
                f"{seen['patients']} ({seen['missing']:.0%})" if seen["patients"] else "-"
                for seen in report["modalities"].values()
            ),
        )
    console.print(table)
    for report in reports:
        for problem in report["problems"]:
            console.print(f"{report['site']}: {problem}", style="red", highlight=False, soft_wrap=True)
        for name, seen in report.get("modalities", {}).items():
            if seen["unmatched"]:
                text = f"{report['site']}: {seen['unmatched']} rows of {name} have no outcomes row and are left out."
                console.print(text, highlight=False, soft_wrap=True)


def _task_cell(counts: dict[str, int]) -> str:
    cases = sorted(count for name, count in counts.items() if name != "labelled")
    return (
        f"{counts['labelled']} ({cases[0]}-{cases[-1]})"
        if len(cases) > 1
        else f"{counts['labelled']} ({cases[0]})"
    )
