"""Command `consilium coordinator report`: report of a run, as text and as a page."""

from pathlib import Path

from common.errors import StateError
from server.home.places import CoordinatorHome
from server.records.releases import read_releases
from server.records.submission import last_folder, named_folder
from server.reports.report import RunReport, run_report


def report_of(home: CoordinatorHome, run: str | None) -> tuple[Path, RunReport]:
    """Return the folder and the report of a run, or of the last one.

    Raises:
        InputError: if there is no such run, or its files cannot be read.
    """
    out = last_folder(home.runs) if run is None else named_folder(home.runs, run)
    if out is None:
        raise StateError(str(home.runs), "there is no run yet", "start one by `consilium coordinator run`")
    release = read_releases(home.releases).of_run(out.name)
    return out, run_report(out, None if release is None else release.version)
