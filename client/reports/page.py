"""Report of a run at a hospital as one self-contained page, without a patient's row."""

from collections.abc import Iterator

from markupsafe import Markup

from client.prediction.beside import ModelsBeside
from client.reports.report import SiteReport
from client.validation.page import outcome_section
from common.counting import counted
from common.pages.charts.axes import ChartAxis
from common.pages.charts.intervals import IntervalPoint, IntervalRow, interval_chart
from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import bullets, code, facts, paragraph
from common.pages.table import PageTable, table
from common.validation.estimate import IntervalEstimate


def page(report: SiteReport) -> str:
    """Render the page as HTML."""
    sections = [PageSection("In short", [bullets(findings(report), findings=True)])]
    if report.beside:
        sections.append(PageSection("Own model and federated model", list(_beside(report)), "own-model"))
    if report.judgement is not None:
        for task in report.judgement.tasks:
            for outcome in task.outcomes:
                section = outcome_section(report.unit, task, outcome)
                sections.append(PageSection(f"Federated model: {section.title}", section.content))
    if report.baseline:
        sections.append(PageSection("Our patients", list(_baseline(report)), "patients"))
    sections.append(PageSection("What left in this run", list(_answers(report)), "answers"))
    sections.append(PageSection("How it was run", [facts(_facts(report))], "conditions"))
    sections.append(PageSection("Read with care", [bullets([*report.notes, *_CAVEATS])], "limits"))
    title = f"{report.federation} at {report.site}"
    return document(title, sections, kind=f"Consilium, report of a run, {report.made}", footer=_FOOTER)


_CAVEATS = (
    "Good ranking of past patients is not evidence that a decision based on it would help a patient. This is research "
    "software and not a medical device.",
    "Intervals cover the choice of held-out patients, and neither that of training patients nor the seed of training.",
)
_FOOTER = "Made at the hospital for itself; it never leaves by itself. No patient's row is here."


def findings(report: SiteReport) -> Iterator[str]:
    """Say in sentences how the federated model does at this hospital, beside the hospital's own."""
    if report.judgement is None:
        yield "Nobody was held out at this hospital, so that nothing can be said of the model here."
        return
    yield f"Judged on {report.records:,} {report.whose}."
    for both in report.beside:
        yield f"{report.tasks.get(both.task, both.task)}: {beside_text(both)}"
    if not report.beside:
        for task in report.judgement.tasks:
            for outcome in task.outcomes:
                title = " ".join(filter(None, [report.tasks.get(task.task, task.task), outcome.name]))
                figure_ = outcome.discrimination.text(missing="too few")
                yield f"{title}: {task.metric} of the federated model {figure_}, {outcome.patients:,} labelled."


def beside_text(both: ModelsBeside) -> str:
    """Write both models' figures with patients, events and intervals, and what they show."""
    if both.records is None:
        return both.words
    events = "" if both.events is None else f", {counted(both.events, 'event')}"
    return (
        f"{both.metric} of the own model {both.alone.text()}, of the federated one {both.together.text()}, difference "
        f"{_signed(both.gain)}; {both.records:,} patients{events}. {both.words}"
    )


def _beside(report: SiteReport) -> Iterator[Markup]:
    yield paragraph(
        "The own model is the same network with the same settings, trained at this hospital on its own training "
        f"patients alone. Both are judged on the same {report.records:,} {report.whose}."
    )
    rows = [
        [
            report.tasks.get(both.task, both.task),
            both.metric,
            None if both.records is None else f"{both.records:,}",
            None if both.events is None else f"{both.events:,}",
            both.alone.text(missing="too few"),
            both.together.text(missing="too few"),
            _signed(both.gain),
        ]
        for both in report.beside
    ]
    heads = ["Question", "Metric", "Patients", "Events", "Own model", "Federated", "Difference"]
    caption = (
        "Own and federated model on this hospital's held-out patients, with 95% bootstrap intervals; the difference is "
        "federated minus own, over the same draws of patients. Fewer than five patients with the event, or without, "
        "give no figure."
    )
    yield table(PageTable(heads, rows, caption, name="own-and-federated", words=frozenset({1})))
    judged = [both for both in report.beside if both.records is not None]
    if judged:
        chart_rows = [
            IntervalRow(
                f"{report.tasks.get(both.task, both.task)}, {both.metric}",
                [_point(0, both.alone), _point(1, both.together)],
            )
            for both in judged
        ]
        finding = " ".join(f"{report.tasks.get(both.task, both.task)}: {both.words}" for both in judged)
        series = ["own model", "federated model"]
        drawn = interval_chart(
            "Own and federated model", finding, chart_rows, ChartAxis("Metric"), series=series
        )
        yield figure(
            [drawn], "Both models on the same held-out patients of this hospital, with 95% intervals."
        )


def _point(series: int, estimate: IntervalEstimate) -> IntervalPoint:
    return IntervalPoint(series, estimate.value, estimate.low, estimate.high, estimate.text())


def _signed(gain: IntervalEstimate) -> str:
    if gain.value is None:
        return "\N{EN DASH}"
    parts = [
        f"{number:+.2f}".replace("-", "\N{MINUS SIGN}")
        for number in (gain.value, gain.low or 0, gain.high or 0)
    ]
    return parts[0] if gain.low is None or gain.high is None else f"{parts[0]} ({parts[1]} to {parts[2]})"


def _baseline(report: SiteReport) -> Iterator[Markup]:
    rows = [
        [
            f"{row.part}: {row.label}{f', {row.unit}' if row.unit else ''}",
            None if row.ours is None else f"{row.ours.patients:,}",
            None if row.ours is None or row.ours.value is None else row.ours.text(),
            None if row.everyone is None else row.everyone.text(),
        ]
        for row in report.baseline
    ]
    caption = (
        "This hospital's training patients beside those of all hospitals, by the scaling of the run: mean ± standard "
        "deviation; of skewed columns and times the mean of logarithms turned back, with one standard deviation about "
        "it; of levels the patients and their share. The hospital's own counts are exact: they stay here."
    )
    yield table(PageTable(["", "Observed", "Here", "All hospitals"], rows, caption, name="our-patients"))


def _answers(report: SiteReport) -> Iterator[Markup]:
    if not report.answers:
        yield paragraph("No receipt of this run was found.")
        return
    rows = [
        [
            answer.message,
            f"{answer.passed:,}",
            _spans(answer.rounds) or None,
            "; ".join(f"{number:,} {why}" for why, number in answer.others.items()) or None,
        ]
        for answer in report.answers
    ]
    caption = "Messages that left, by the hospital's signed receipts; `consilium site receipts` has them one by one."
    heads = ["What", "Left", "Rounds", "Not as asked"]
    yield table(PageTable(heads, rows, caption, name="answers", words=frozenset({2, 3})))


def _spans(rounds: tuple[int, ...]) -> str:
    """Write rounds as spans, as in `1 to 8, 10`."""
    spans: list[list[int]] = []
    for number in rounds:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{low} to {high}" if high > low else str(low) for low, high in spans)


def _facts(report: SiteReport) -> dict[str, str | Markup]:
    said: dict[str, str | Markup] = {
        "Federation": Markup("{}, SHA-256 {}").format(report.federation, code(report.digest)),
        "Model": "the one that the run kept" if report.version is None else f"release {report.version}",
    }
    return said | ({} if report.run is None else {"Run, as in the receipts": code(report.run)})
