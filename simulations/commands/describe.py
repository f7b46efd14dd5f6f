"""Command `consilium cohort describe`: counts of a cohort as the federation will see it."""

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from client.data.cohort import Cohort
from client.families.registry import reader_of
from client.site_folder.site_file import SITE_FILE, read_site_file
from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.federation import Federation
from common.agreement.loading import load_agreement
from common.errors import InputError, MissingFileError
from common.families.family import Words
from common.families.registry import family_of
from simulations.cohorts.folders import find_sites
from simulations.commands.cohort_tables import Report, tables
from simulations.families.patients.units import Spread, spreads, unit_differences

SITES, ROWS, PROBLEMS = Words("site", "sites"), Words("row", "rows"), Words("problem", "problems")
WARNINGS = Words("warning", "warnings")


def describe(folder: Path, federation_file: Path | None, as_json: bool) -> bool:
    """Print every site's passport and problems, and return whether there were no problems.

    Raises:
        InputError: if there is no federation file or no site folder.
    """
    federation = load_agreement(federation_file or _federation_file(folder))
    sites = [folder] if (folder / SITE_FILE).is_file() else find_sites(folder)
    quartiles: dict[str, dict[str, Spread]] = {}
    reports = [_report(site, federation, quartiles) for site in sites]
    for name, what in unit_differences(quartiles):
        next(report for report in reports if report["site"] == name)["warnings"].append(what)
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


def _report(site: Path, federation: Agreement, quartiles: dict[str, dict[str, Spread]]) -> Report:
    """Read a site into its passport and problems, and keep the quartiles of its columns."""
    reader = reader_of(federation)
    try:
        holding, problems = reader.read(site, read_site_file(site, federation), federation)
    except InputError as error:
        holding, problems = None, [error]
    report: Report = {"site": site.resolve().name}
    if isinstance(holding, Cohort) and isinstance(federation, Federation):
        quartiles[holding.site] = spreads(holding, federation)
    if holding is not None:
        report |= reader.passport(holding, federation) | {"units": len(holding.records)}
    if problems and isinstance(holding, Cohort):
        report["warnings"] = list(holding.warnings)  # a column that cannot be read is not empty
    return report | {"problems": [str(problem) for problem in problems]}


def _print(reports: list[Report], federation: Agreement) -> None:
    """Print tables for a family that counts modalities, and the reader's lines for any other."""
    console = Console(highlight=False, markup=False)
    words = family_of(federation).words(federation)
    readable = [report for report in reports if "units" in report]
    if any("modalities" in report for report in readable):
        for part in tables(reports, words):
            console.print(part)
    else:
        for report in readable:
            for line in reader_of(federation).passport_lines(report):
                console.print(Text(line), soft_wrap=True)
    for report in reports:
        for name, seen in report.get("modalities", {}).items():
            if seen["unmatched"]:
                rows = ROWS.counted(seen["unmatched"])
                console.print(
                    f"{report['site']}: {name} has {rows} without outcomes, left out.", soft_wrap=True
                )
        for warning in report.get("warnings", []):
            console.print(Text(f"{report['site']}: {warning}", style="yellow"), soft_wrap=True)
        for problem in report["problems"]:
            console.print(Text(f"{report['site']}: {problem}", style="red"), soft_wrap=True)
    units = words.counted(sum(report["units"] for report in readable))
    problems = PROBLEMS.counted(sum(len(report["problems"]) for report in reports))
    warnings = WARNINGS.counted(sum(len(report.get("warnings", [])) for report in reports))
    ending = f"{problems}, {warnings}" if any(report.get("warnings") for report in reports) else problems
    console.print(f"{federation.name}: {SITES.counted(len(reports))}, {units}, {ending}.")
