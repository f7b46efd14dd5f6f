"""Report of a run at a hospital as lines for its terminal."""

from collections.abc import Iterator

from client.reports.page import findings
from client.reports.report import SiteReport


def report_lines(report: SiteReport) -> Iterator[str]:
    """Write a report as lines: findings, answers that left, notes."""
    model = "the model that the run kept" if report.version is None else f"release {report.version}"
    run = "" if report.run is None else f", run {report.run}"
    yield f"{report.site} in {report.federation}{run}: {model}."
    yield from findings(report)
    for answer in report.answers:
        others = "".join(f"; {number} {why}" for why, number in answer.others.items())
        yield f"Left in this run: {answer.message}, {answer.passed}{others}."
    for note in report.notes:
        yield f"Note: {note}"
