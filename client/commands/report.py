"""Command `consilium site report`: report of a run, at the hospital and for it alone."""

from pathlib import Path

from client.reports.page import page
from client.reports.report import SiteReport, site_report
from client.site_folder.places import Home
from common.files import write_whole


def report_into(home: Home, run: int | None, is_own: bool, html: Path | None) -> tuple[SiteReport, Path]:
    """Make the report of a run, and write its page; return both report and path.

    Args:
        home: the site folder.
        run: Flower's number of the run, as in the receipts.
        is_own: whether the hospital's own model is trained for the comparison.
        html: file of the page; None for one in the site folder.

    Raises:
        InputError: as `site_report`; nothing is written then.
        OSError: if the page cannot be written.
    """
    report = site_report(home, run, is_own)
    path = html or home.folder / "reports" / f"{report.run or report.version}.html"
    if html is None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, page(report).encode(), 0o600)
    return report, path
