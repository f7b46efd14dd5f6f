"""Report of a run as one self-contained page, which holds no patient's row."""

from collections.abc import Iterator

from markupsafe import Markup

from common.baseline.table import BaselineTable
from common.counting import counted
from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.lines import ChartLine, line_chart
from common.pages.document import PageSection, document
from common.pages.figure import Chart, figure
from common.pages.parts import bullets, code, facts, folded, paragraph
from common.pages.table import PageTable, table
from common.validation.sums.table import ValidationTable
from server.reports.report import ReportedHospital, ReportedRound, RunReport
from server.reports.timeline import timeline
from server.reports.validation_parts import by_horizon, main_of, validation_parts


def page(report: RunReport) -> str:
    """Render the page as HTML."""
    sections = [PageSection("In short", [bullets(findings(report), findings=True)])]
    if report.test is not None:
        lead = paragraph(
            "Patients who neither trained the model nor helped to choose or calibrate it, drawn at every hospital from "
            "its own. Only sums left the hospitals."
        )
        content = [lead, *validation_parts(report.test, report.tasks, "test patients")]
        sections.append(PageSection("Test", content, "test"))
    if report.validation is not None:
        lead = paragraph(
            "Patients who did not train the model. Those who validated its rounds helped to choose the kept one, so "
            "that these figures are somewhat flattering."
        )
        content = [lead, *validation_parts(report.validation, report.tasks, "held-out patients")]
        sections.append(PageSection("Held-out patients", content, "held-out"))
    sections.append(PageSection("Who took part", list(_participation(report)), "hospitals"))
    if report.rounds:
        sections.append(PageSection("Training", list(_training(report)), "training"))
    if report.baseline is not None:
        sections.append(PageSection("Patients", list(baseline_parts(report.baseline)), "patients"))
    sections.append(PageSection("How it was run", [facts(_facts(report))], "conditions"))
    sections.append(PageSection("Read with care", [bullets([*report.notes, *_CAVEATS])], "limits"))
    kind = f"Consilium, report of a run, {report.ended or report.started}"
    return document(f"{report.federation}, run {report.run}", sections, kind=kind, footer=_FOOTER)


_CAVEATS = (
    "Good ranking of past patients is not evidence that a decision based on it would help a patient. This is research "
    "software and not a medical device.",
    "Intervals cover the choice of patients, and neither that of hospitals nor the seed of training.",
)

_FOOTER = "Made of the files in the run's folder. Hospitals sent sums and weights; no patient's row is here."

_STATUS = {
    "started": "has not ended, or ended without a word",
    "resumed": "was resumed, and has not ended",
    "completed": "completed: every round had its quorum",
    "partial": "is partial: some round lacked a quorum and does not count",
    "failed": "failed and gave no model",
}


def findings(report: RunReport) -> Iterator[str]:
    """Say in sentences how the run went and how good its model is."""
    training = [record for record in report.rounds if record.kind == "train"]
    hospitals = [hospital for hospital in report.hospitals if hospital.rounds]
    yield (
        f"The run {_STATUS[report.status]}. {counted(len(hospitals), 'hospital')} trained in "
        f"{len(training)} of {counted(report.planned, 'planned round')}."
    )
    if report.kept_round is not None:
        loss = "" if report.kept_loss is None else f", with a validation loss of {report.kept_loss:.4g}"
        yield f"Kept are the weights after round {report.kept_round}{loss}."
    best = report.test or report.validation
    whom = "test patients" if report.test is not None else "held-out patients, who helped to choose the round"
    if best is not None:
        yield from _headline(best, report.tasks, whom)


def _headline(validation: ValidationTable, labels: dict[str, str], whom: str) -> Iterator[str]:
    for task, outcomes in validation.tasks.items():
        for outcome in outcomes:
            if not outcome.patients:
                continue
            title = " ".join(filter(None, [labels.get(task, task), outcome.name]))
            main, patients = main_of(outcome), sum(outcome.patients.values())
            events = (
                ""
                if main is None
                else f", {main.events:,} events{by_horizon(main, validation.units.get(task, ''))}"
            )
            yield f"{title}: concordance {outcome.concordance.text()} among {patients:,} {whom}{events}."


def _participation(report: RunReport) -> Iterator[Markup]:
    training = [record for record in report.rounds if record.kind == "train"]
    rows = [_hospital_row(hospital, len(training), report) for hospital in report.hospitals]
    caption = (
        "Hospitals of the run: patients who trained, rounds of training with a part, answers about the kept model, and "
        "reasons for which a part is missing."
    )
    if report.private:
        caption += " Hospitals keep their numbers of patients under differential privacy."
    heads = ["Hospital", "Training patients", "Rounds", "Assessment", "Without a part"]
    yield table(PageTable(heads, rows, caption, name="hospitals", words=frozenset({3, 4})))
    drawn = timeline(report.hospitals, report.rounds)
    if drawn is not None:
        text = "A box for every round of training in which a hospital had a part; pale where the round lacked a quorum."
        yield figure([drawn], text)


def _hospital_row(hospital: ReportedHospital, rounds: int, report: RunReport) -> list[str | None]:
    reasons = []
    for absence in hospital.absences:
        numbers = [exchange for exchange in absence.exchanges if exchange.isdigit()]
        others = [exchange for exchange in absence.exchanges if not exchange.isdigit()]
        where = [f"{'round' if len(numbers) == 1 else 'rounds'} {', '.join(numbers)}"] if numbers else []
        reasons.append(f"{'; '.join([*where, *others]) or 'whole run'}: {absence.reason}")
    patients = None if hospital.patients is None else f"{hospital.patients:,}"
    return [
        hospital.name,
        patients,
        f"{len(hospital.rounds)} of {rounds}",
        ", ".join(hospital.assessed) or None,
        " ".join(reasons) or None,
    ]


def _training(report: RunReport) -> Iterator[Markup]:
    charts = [chart for chart in (_losses(report), *_concordances(report)) if chart is not None]
    if charts:
        text = (
            "Figures by rounds of training behind the weights. Validation patients are set aside by every hospital "
            "from its own; the dashed line is the round whose weights were kept."
        )
        yield figure(charts, text)
    rows = [_round_row(record, report) for record in report.rounds]
    heads = ["Exchange", "Hospitals", "Training loss", "Validation loss", *report.tasks.values(), "Seconds"]
    caption = (
        "Exchanges in order; the figures of a round are of the weights that were sent in it. Validation loss with its "
        "standard error; concordance with its 95% interval, validation patients and pairs."
    )
    kept = {
        number
        for number, record in enumerate(report.rounds)
        if record.trained == report.kept_round and record.applied
    }
    content = PageTable(heads, rows, caption, name="rounds", marked=frozenset(kept))
    yield folded(f"All {counted(len(report.rounds), 'exchange')}", table(content))


def _round_row(record: ReportedRound, report: RunReport) -> list[str | None]:
    concordances: list[str | None] = []
    for task in report.tasks:
        figure_ = record.concordance.get(task)
        concordances.append(
            None
            if figure_ is None
            else f"{figure_.estimate.text(3)}, {figure_.patients:,} patients, {figure_.pairs:,} pairs"
        )
    loss = None if record.validation_loss is None else f"{record.validation_loss:.4g}"
    if loss is not None and record.validation_error is not None:
        loss += f" ± {record.validation_error:.2g}"
    name = f"Round {record.number}" if record.kind == "train" else "Evaluation"
    return [
        name if record.applied else f"{name}, no quorum",
        str(record.hospitals),
        None if record.training_loss is None else f"{record.training_loss:.4g}",
        loss,
        *concordances,
        f"{record.seconds:.1f}",
    ]


def _kept(report: RunReport) -> list[AxisMark]:
    return (
        [] if report.kept_round is None else [AxisMark(report.kept_round, f"kept: round {report.kept_round}")]
    )


def _losses(report: RunReport) -> Chart | None:
    training = [
        (record.trained, record.training_loss) for record in report.rounds if record.training_loss is not None
    ]
    judged = [record for record in report.rounds if record.validation_loss is not None]
    validation = [(record.trained, record.validation_loss or 0.0) for record in judged]
    if not training and not validation:
        return None
    band = [
        ((record.validation_loss or 0.0) - error, (record.validation_loss or 0.0) + error)
        for record in judged
        if (error := record.validation_error or 0.0) is not None
    ]
    lines = [ChartLine("Training", training)] if training else []
    lines += (
        [ChartLine("Validation, one standard error", validation, band=band, number=1)] if validation else []
    )
    lowest = min((value for _, value in validation), default=None)
    finding = (
        "No validation loss is known." if lowest is None else f"The lowest validation loss is {lowest:.4g}."
    )
    if report.kept_round is not None:
        finding += f" Kept are the weights after round {report.kept_round}."
    axes = ChartAxis("Rounds of training", 0.0), ChartAxis("Loss per patient")
    return line_chart("Loss by round", finding, lines, *axes, marks=_kept(report))


def _concordances(report: RunReport) -> Iterator[Chart]:
    for task, label in report.tasks.items():
        estimates = [
            (record.trained, figure_.estimate)
            for record in report.rounds
            if (figure_ := record.concordance.get(task)) is not None and figure_.estimate.value is not None
        ]
        if not estimates:
            continue
        points = [(trained, estimate.value or 0.0) for trained, estimate in estimates]
        band = [
            (
                point if estimate.low is None else estimate.low,
                point if estimate.high is None else estimate.high,
            )
            for (_, point), (_, estimate) in zip(points, estimates, strict=True)
        ]
        best = max(value for _, value in points)
        yield line_chart(
            f"{label}: concordance of validation patients",
            f"The highest concordance of a round is {best:.2f}; chance is 0.5.",
            [ChartLine("Concordance, 95% interval", points, band=band)],
            ChartAxis("Rounds of training", 0.0),
            ChartAxis("Concordance"),
            marks=_kept(report),
            levels=[AxisMark(0.5, "chance")],
        )


def baseline_parts(baseline: BaselineTable) -> Iterator[Markup]:
    """Write the baseline table, a column per hospital."""
    hospitals = sorted({*baseline.patients, *(site for row in baseline.rows for site in row.hospitals)})
    rows: list[list[str | None]] = []
    patients = [f"{baseline.patients[site]:,}" if site in baseline.patients else None for site in hospitals]
    total = f"{sum(baseline.patients.values()):,}" if baseline.patients else None
    rows.append(["Training patients", *patients, total])
    for row in baseline.rows:
        unit = f", {row.unit}" if row.unit else ""
        cells = [row.hospitals[site].text() if site in row.hospitals else None for site in hospitals]
        rows.append(
            [f"{row.part}: {row.label}{unit}", *cells, None if row.everyone is None else row.everyone.text()]
        )
    caption = (
        "Training patients by hospital, from the sums that hospitals send for scaling: mean ± standard deviation; of "
        "skewed columns and times the mean of logarithms turned back, with one standard deviation about it; of levels "
        "the patients and their share. An entry about fewer patients than a hospital's minimum count is missing, and "
        "with a level all levels of its column."
    )
    yield table(PageTable(["", *hospitals, "Together"], rows, caption, name="patients-by-hospital"))


def _facts(report: RunReport) -> dict[str, str | Markup]:
    said: dict[str, str | Markup] = {
        "Run": code(report.run),
        "Federation": Markup("{}, SHA-256 {}").format(report.federation, code(report.digest)),
        "Release": report.version or "none was made of this run yet",
        "Started": report.started,
        "Ended": report.ended or "not yet",
        "Strategy": report.strategy,
        "Seed": str(report.seed),
        "Questions": ", ".join(report.tasks.values()),
    }
    return {name: value for name, value in said.items() if value}
