"""Report of a run as lines for a terminal."""

from collections.abc import Iterator

from server.reports.page import findings
from server.reports.report import RunReport
from server.reports.validation_parts import by_horizon, main_of


def report_lines(report: RunReport) -> Iterator[str]:
    """Write a report as lines: findings, hospitals, figures by hospital, notes."""
    version = "" if report.version is None else f", released as {report.version}"
    yield f"Run {report.run} of {report.federation}{version}, SHA-256 {report.digest[:12]}."
    yield from findings(report)
    planned = len([record for record in report.rounds if record.kind == "train"])
    yield "Hospitals:"
    for hospital in report.hospitals:
        patients = "" if hospital.patients is None else f", {hospital.patients:,} training patients"
        yield f"  {hospital.name}: {len(hospital.rounds)} of {planned} rounds{patients}"
        for absence in hospital.absences:
            yield f"    without a part in {', '.join(absence.exchanges) or 'the whole run'}: {absence.reason}"
    validation, whom = report.test or report.validation, "test" if report.test is not None else "held-out"
    for task, outcomes in ({} if validation is None else validation.tasks).items():
        for outcome in outcomes:
            main, unit = main_of(outcome), validation.units.get(task, "") if validation is not None else ""
            if main is None:
                continue
            by = by_horizon(main, unit)
            yield f"{' '.join(filter(None, [report.tasks.get(task, task), outcome.name]))}, {whom} patients{by}:"
            for name, figures in sorted(main.hospitals.items()):
                yield (
                    f"  {name}: {figures.patients:,} patients, {figures.events:,} events, concordance "
                    f"{outcome.concordances[name].text() if name in outcome.concordances else 'too few'}, "
                    f"O/E {figures.ratio.text()}"
                )
    for note in report.notes:
        yield f"Note: {note}"
