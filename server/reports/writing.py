"""Page of a report in the run's folder."""

import logging
from pathlib import Path

from common.errors import InputError
from common.files import write_whole
from server.reports.page import page
from server.reports.report import RunReport, run_report

PAGE = "report.html"
"""Page in a run's folder."""

log = logging.getLogger("consilium.run")


def write_report(report: RunReport, path: Path) -> None:
    """Write the page of a report, whole or not at all."""
    write_whole(path, page(report).encode())


def report_at_end(out: Path) -> None:
    """Write the page of an ended run into its folder; one that cannot be made fails no run."""
    try:
        write_report(run_report(out), out / PAGE)
    except (InputError, OSError) as error:
        log.warning("the report of the run could not be written: %s", error)
