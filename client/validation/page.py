"""Validation as one self-contained page, which loads nothing and holds no patient's row."""

from collections.abc import Iterator

from markupsafe import Markup

from client.validation.lines import MISSING, title
from client.validation.report import ValidationReport
from common.counting import written
from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import facts, paragraph
from common.pages.table import PageTable, TableCell, table
from common.validation.drawings import calibration_chart, net_benefit_chart
from common.validation.estimate import IntervalEstimate
from common.validation.figures import FLOOR, HorizonFigures, OutcomeFigures, TaskFigures
from common.validation.groups import GroupFigures


def page(report: ValidationReport) -> str:
    """Render the page as HTML."""
    sections = [
        outcome_section(report.unit, task, outcome) for task in report.tasks for outcome in task.outcomes
    ]
    judged = f"Judged on {report.records:,} {report.whose}. The release is for {report.use}."
    return document(
        f"{report.release}: validation, {report.setting}",
        [*sections, _measured(report)],
        heading=report.release,
        kind=f"Consilium, validation, {report.setting}, {report.made}",
        lead=[paragraph(judged), *_calibrated(report)],
        footer=f"Federation file {report.federation[:16]}. No patient's row and no date of a patient is on this page; "
        "a dash stands for what has no figure.",
    )


def _calibrated(report: ValidationReport) -> Iterator[Markup]:
    if not report.calibration:
        return
    states = "; ".join(f"{task} {state.words}" for task, state in report.calibration.items())
    text = f"Calibrated at this hospital: {states}."
    if report.is_fitted_to_these:
        text += f" The level was fitted to these {report.unit} among others, so that its observed / expected is near 1 "
        text += "by itself."
    yield paragraph(text, quiet=True)


def outcome_section(unit: str, task: TaskFigures, outcome: OutcomeFigures) -> PageSection:
    """Write the section of an outcome.

    Args:
        unit: plural of what is counted, such as patients.
        task: with its kind, metric and unit of time.
        outcome: of the task.
    """
    score = Markup("{} <b>{}</b> among {} labelled {}.").format(
        task.metric, outcome.discrimination.text(), f"{outcome.patients:,}", unit
    )
    parts = [paragraph(score)]
    for figures in outcome.horizons:
        parts += _horizon(unit, task, outcome, figures)
    by = "" if outcome.grouped_by is None else f"by {written(outcome.grouped_by)} {task.unit}"
    for division, groups in outcome.groups.items():
        caption = (
            f"By {division.replace('_', ' ')}, risk {by}. A group has figures if {FLOOR} {unit} had the "
        )
        caption += f"event and {FLOOR} not, and if it does not give away a smaller one."
        heads = ("Group", unit.capitalize(), "Events", "Predicted", "Observed", "O/E", task.metric)
        parts.append(table(PageTable(heads, [_group(group) for group in groups], caption)))
    return PageSection(title(task, outcome).replace("_", " "), parts)


def _group(group: GroupFigures) -> tuple[str | TableCell, ...]:
    return (
        group.name,
        _count(group.patients),
        _count(group.events),
        _percent(group.expected),
        _percent(group.observed.value),
        group.ratio.text(),
        group.discrimination.text(),
    )


def _horizon(unit: str, task: TaskFigures, outcome: OutcomeFigures, figures: HorizonFigures) -> list[Markup]:
    """Write the figures of the risk by one time."""
    name = "" if figures.horizon is None else f"by {written(figures.horizon)} {task.unit}"
    parts = [Markup("<h3>Risk {}</h3>").format(name)] if name else []
    if figures.events is None:
        few = f"Fewer than {FLOOR} {unit} had the outcome, or were followed without it: no figure."
        return [*parts, paragraph(few, quiet=True)]
    parts.append(facts(_facts(figures)))
    if figures.cells:
        parts.append(table(_calibration_table(figures, unit, name)))
    event = " ".join(filter(None, [outcome.name or "the event", name]))
    charts = [] if figures.curve is None else [calibration_chart(figures.curve.points, event)]
    charts += [net_benefit_chart(figures.decisions, event)] if figures.decisions else []
    if charts:
        parts.append(
            figure(charts, f"Risk of {event}: calibration and decisions, as far as there are figures.")
        )
    heads = ("Treated from", "Treated", "Model", "Everybody", "Model minus everybody")
    rows = [
        (
            TableCell(f"{100 * decision.threshold:.3g}%", decision.threshold),
            MISSING if decision.treated is None else TableCell(f"{decision.treated:.0%}", decision.treated),
            decision.model.text(3),
            _number(decision.everyone, 3),
            decision.above_everyone.text(3),
        )
        for decision in figures.decisions
    ]
    when = f" {name}" if name else ""
    caption = (
        f"Net benefit{when}, in events treated per patient; treating nobody has 0; 95% bootstrap intervals."
    )
    return [*parts, table(PageTable(heads, rows, caption))]


def _calibration_table(figures: HorizonFigures, unit: str, name: str) -> PageTable:
    rows = [
        (_percent(cell.expected), _range(cell.observed), f"{cell.patients:,}", _count(cell.events))
        for cell in figures.cells
    ]
    caption = (
        f"Calibration {name}".rstrip()
        + f", by range of predicted risk, with the {unit} and events behind it."
    )
    return PageTable(("Predicted", "Observed", unit.capitalize(), "Events"), rows, caption)


def _range(observed: IntervalEstimate) -> str:
    low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in (observed.low, observed.high))
    return f"{_share(observed.value)} ({_share(low)} to {_share(high)})"


def _facts(figures: HorizonFigures) -> dict[str, str | Markup]:
    observed, brier = figures.observed, figures.brier
    ends = f"({_share(observed.low)} to {_share(observed.high)})"
    pairs: dict[str, str | Markup] = {
        f"With the event, {'followed ' if figures.followed else ''}without": f"{_count(figures.events)}, "
        f"{_count(figures.spared)}",
        "Predicted": _share(figures.expected),
        "Observed": f"{_share(observed.value)} {ends}",
        f"Observed / expected{', Kaplan-Meier' if figures.followed else ''}": figures.ratio.text(),
    }
    if figures.followed:
        pairs["Observed / expected, while followed"] = figures.followed.ratio.text()
    if figures.auc.value is not None:
        pairs["Area under the ROC curve"] = figures.auc.text()
    return {
        **pairs,
        "Calibration level (best 0)": figures.level.intercept.text(),
        "Calibration slope (best 1)": figures.level.slope.text(),
        "Mean distance of the smooth curve": MISSING
        if figures.curve is None
        else f"{figures.curve.distance:.3f}",
        "Brier score, null model's": MISSING
        if brier is None
        else f"{_number(brier.model, 4)}, {_number(brier.null, 4)}",
        "Gain over the null model": MISSING if brier is None else brier.gain.text(4),
    }


def _measured(report: ValidationReport) -> PageSection:
    rows = [
        (name, _percent(share.patients), _percent(share.columns)) for name, share in report.observed.items()
    ]
    heads = ("Table", f"{report.unit.capitalize()} with it", "Of its columns")
    return PageSection("Measured", [table(PageTable(heads, rows, "Share of what was measured, by table."))])


def _count(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"


def _share(share: float | None) -> str:
    return MISSING if share is None else f"{share:.1%}"


def _percent(share: float | None) -> str | TableCell:
    return MISSING if share is None else TableCell(f"{share:.1%}", share)


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"
