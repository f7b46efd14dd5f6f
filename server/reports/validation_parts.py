"""Parts of a page about a validation over hospitals: tables and charts."""

from collections.abc import Iterator

from markupsafe import Markup

from common.counting import counted, written
from common.pages.charts.axes import ChartAxis
from common.pages.charts.intervals import IntervalPoint, IntervalRow, interval_chart
from common.pages.charts.lines import ChartLine, line_chart
from common.pages.figure import Chart, figure
from common.pages.parts import bullets, paragraph
from common.pages.table import PageTable, table
from common.validation.estimate import IntervalEstimate
from common.validation.sums.pooling import HorizonTable
from common.validation.sums.table import OutcomeTable, ValidationTable


def validation_parts(validation: ValidationTable, labels: dict[str, str], whom: str) -> Iterator[Markup]:
    """Write the parts of every outcome.

    Args:
        validation: over hospitals.
        labels: task -> label.
        whom: they are, in the plural.
    """
    for task, outcomes in validation.tasks.items():
        for outcome in outcomes:
            label = labels.get(task, task)
            title = f"{label}, {outcome.name}" if outcome.name else label
            yield Markup("<h3>{}</h3>").format(title)
            yield from _outcome(outcome, title, validation.units.get(task, ""), whom)


def main_of(outcome: OutcomeTable) -> HorizonTable | None:
    """Return the figures by the main horizon; None where no hospital told any."""
    return next((figures for figures in outcome.horizons if figures.index == outcome.main), None)


def by_horizon(figures: HorizonTable, unit: str) -> str:
    """Write the horizon, as in ` by 24 months`; empty for an outcome without a time."""
    return "" if figures.horizon is None else f" by {written(figures.horizon)} {unit}"


def _outcome(outcome: OutcomeTable, title: str, unit: str, whom: str) -> Iterator[Markup]:
    if not outcome.patients:
        yield paragraph(f"No hospital had enough {whom} with the outcome, and without it, for a figure.")
        return
    main = main_of(outcome)
    yield bullets(_findings(outcome, main, unit, whom), findings=True)
    yield table(_hospital_table(outcome, main, title, unit, whom))
    charts = [_hospital_chart(outcome, title)] if len(outcome.patients) > 1 else []
    if (calibrated := _calibration_chart(outcome, main, title, unit)) is not None:
        charts.append(calibrated)
    if charts:
        yield figure(
            charts, f"Concordance by hospital, and observed against predicted risk, of {whom}; 95% intervals."
        )
    if outcome.horizons and outcome.horizons[0].horizon is not None:
        yield table(_horizon_table(outcome, title, unit))
    if outcome.cells:
        yield table(_calibration_table(outcome, main, title, unit))


def _findings(outcome: OutcomeTable, main: HorizonTable | None, unit: str, whom: str) -> Iterator[str]:
    patients, hospitals = sum(outcome.patients.values()), counted(len(outcome.patients), "hospital")
    events = "" if main is None else f", {main.events:,} of them with the event{by_horizon(main, unit)}"
    yield f"Concordance {outcome.concordance.text()} among {patients:,} {whom} of {hospitals}{events}."
    if main is not None:
        better = "closer to the outcomes than" if main.brier < main.null else "no closer to the outcomes than"
        yield (
            f"Brier score{by_horizon(main, unit)} {main.brier:.3f}, null model {main.null:.3f}: the predicted risks "
            f"are {better} the same observed risk for everybody."
        )
        yield f"Observed over expected risk{by_horizon(main, unit)}: {main.ratio.text()}."
    if outcome.between is not None:
        low, high = outcome.between.predicted
        yield f"Concordance at another such hospital is expected from {low:.2f} to {high:.2f} (random effects)."


def _hospital_table(
    outcome: OutcomeTable, main: HorizonTable | None, title: str, unit: str, whom: str
) -> PageTable:
    by = "" if main is None else by_horizon(main, unit)
    rows: list[list[str | None]] = []
    for name, patients in sorted(outcome.patients.items()):
        figures = None if main is None else main.hospitals.get(name)
        concordance = outcome.concordances.get(name, IntervalEstimate())
        row = [name, f"{patients:,}", None, _known(concordance), None, None, None]
        if figures is not None:
            row[2], row[4] = f"{figures.events:,}", _known(figures.auc)
            row[5], row[6] = f"{figures.brier:.3f} ({figures.null:.3f})", _known(figures.ratio)
        rows.append(row)
    together: list[str | None] = ["Together", f"{sum(outcome.patients.values()):,}", None]
    together += [_known(outcome.concordance), None, None, None]
    if main is not None:
        together[2], together[4] = f"{main.events:,}", _known(main.auc)
        together[5], together[6] = f"{main.brier:.3f} ({main.null:.3f})", _known(main.ratio)
    rows.append(together)
    heads = [
        "Hospital",
        "Patients",
        f"Events{by}",
        "Concordance",
        f"AUC{by}",
        "Brier (null model)",
        "Observed / expected",
    ]
    if main is None or main.horizon is None:  # the concordance is the area
        heads, rows = [*heads[:4], *heads[5:]], [[*row[:4], *row[5:]] for row in rows]
    caption = (
        f"{title}: the kept model on {whom}, by hospital. In brackets 95% intervals, and of a Brier score that of the "
        f"null model, which says the observed risk of everybody. Hospitals with fewer than the minimum count of "
        f"patients with the event, or without it, tell nothing."
    )
    return PageTable(heads, rows, caption, marked=frozenset({len(rows) - 1}))


def _hospital_chart(outcome: OutcomeTable, title: str) -> Chart:
    rows = [
        IntervalRow(f"{name} ({patients:,})", [_point(outcome.concordances.get(name, IntervalEstimate()))])
        for name, patients in sorted(outcome.patients.items())
    ]
    rows.append(IntervalRow(f"Together ({sum(outcome.patients.values()):,})", [_point(outcome.concordance)]))
    finding = f"Concordance of all hospitals together: {outcome.concordance.text()}."
    worst = outcome.worst()
    finding += "" if worst is None else f" Lowest at {worst[0]}: {worst[1]:.2f}."
    return interval_chart(f"{title}: concordance by hospital", finding, rows, ChartAxis("Concordance"))


def _point(estimate: IntervalEstimate) -> IntervalPoint:
    return IntervalPoint(0, estimate.value, estimate.low, estimate.high, estimate.text(missing="too few"))


def _horizon_table(outcome: OutcomeTable, title: str, unit: str) -> PageTable:
    rows = [
        [
            f"{written(figures.horizon or 0.0)} {unit}",
            f"{figures.patients:,}",
            f"{figures.events:,}",
            _known(figures.auc),
            f"{figures.brier:.3f}",
            f"{figures.null:.3f}",
            f"{figures.expected:.1%}",
            _percent(figures.observed),
            _known(figures.ratio),
        ]
        for figures in outcome.horizons
    ]
    heads = [
        "By",
        "Patients",
        "Events",
        "AUC",
        "Brier",
        "Null model",
        "Predicted risk",
        "Observed risk",
        "Observed / expected",
    ]
    caption = f"{title}: area under the ROC curve, Brier score and calibration by horizon, over hospitals that told it."
    return PageTable(heads, rows, caption)


def _calibration_chart(
    outcome: OutcomeTable, main: HorizonTable | None, title: str, unit: str
) -> Chart | None:
    """Draw observed against predicted risk; None for fewer than two ranges of risk."""
    observed_cells = [
        (cell, cell.observed.value) for cell in outcome.cells if cell.observed.value is not None
    ]
    if len(observed_cells) < 2:
        return None
    points = [(cell.expected, observed) for cell, observed in observed_cells]
    band = [_within(cell.observed) for cell, _ in observed_cells]
    end = min(1.0, 1.1 * max(max(pair) for pair in points))
    patients = sum(cell.patients for cell, _ in observed_cells)
    return line_chart(
        f"{title}: calibration{'' if main is None else by_horizon(main, unit)}",
        f"Observed against predicted risk in {len(points)} ranges of risk, of {patients:,} patients.",
        [ChartLine("Observed, 95% interval", points, band=band, marked=True)],
        ChartAxis("Predicted risk", 0.0, end, percent=True),
        ChartAxis("Observed risk", 0.0, end, percent=True),
        diagonal="ideal",
    )


def _calibration_table(outcome: OutcomeTable, main: HorizonTable | None, title: str, unit: str) -> PageTable:
    rows = [
        [
            f"{cell.expected:.1%}",
            _percent(cell.observed),
            f"{cell.patients:,}",
            None if cell.events is None else f"{cell.events:,}",
        ]
        for cell in outcome.cells
    ]
    by = "" if main is None else by_horizon(main, unit)
    caption = f"{title}: calibration{by}, by range of predicted risk, with the patients and events behind every figure."
    return PageTable(["Predicted risk", "Observed risk", "Patients", "Events"], rows, caption)


def _within(estimate: IntervalEstimate) -> tuple[float, float]:
    """Return the ends of the interval of a risk, which lies between 0 and 1."""
    low, high = estimate.low or 0.0, 1.0 if estimate.high is None else estimate.high
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def _known(estimate: IntervalEstimate) -> str | None:
    return None if estimate.value is None else estimate.text()


def _percent(estimate: IntervalEstimate) -> str | None:
    if estimate.value is None:
        return None
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%} ({max(estimate.low, 0.0):.1%} to {min(estimate.high, 1.0):.1%})"
