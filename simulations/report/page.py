"""Result as one self-contained page: figures, tables, conditions of the run, and limits.

The page loads nothing from elsewhere and holds no patient's row: curves are drawn from aggregates.
"""

from collections.abc import Iterator

from markupsafe import Markup

from common.counting import written
from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import code, facts, paragraph
from common.validation.drawings import calibration_chart, net_benefit_chart
from simulations.report.plots.arm_plots import arm_plot, site_plot
from simulations.report.plots.drawing import Drawing, Evidence
from simulations.report.plots.learning_plots import learning_plots
from simulations.report.plots.privacy_plots import epsilon_plot
from simulations.report.plots.style import readable
from simulations.report.robustness import drawn, robustness_parts
from simulations.report.spoiling import coverage_parts, found_parts
from simulations.report.words.absences import figure_gaps
from simulations.report.words.activity import activity_table, idle_warning
from simulations.report.words.divisions import division_table, worst_hospital
from simulations.report.words.privacy import price, promise, terms_table
from simulations.report.words.statement import Statement, stated
from simulations.report.words.tables import (
    TextTable,
    cohort_table,
    fold_table,
    group_table,
    own_patients_table,
    results_table,
    shown,
    site_table,
)
from simulations.report.words.text import caveats, count_text, findings, withheld_sentences
from simulations.report.words.validation import validation_table
from simulations.results.robustness import CohortRobustness, Robustness
from simulations.results.schema import MISSING, SimulationResult
from simulations.results.spoiling import WarningFigures

LEARNED = (
    "The federated model, round by round. Validation patients are set aside by every hospital from its own training "
    "patients; held-out patients play no part. The figures of a round describe the weights sent out in it."
)
"""Caption of the curves of training."""

FOOTER = (
    "The numbers on this page are in result.json beside it; curves are drawn from aggregates. No patient's row is in "
    "either file."
)
"""Last line of the page."""


def render(
    result: SimulationResult,
    evidence: Evidence,
    robustness: Robustness | None = None,
    warnings: WarningFigures | None = None,
) -> str:
    """Render the page as HTML.

    Args:
        result: the figures.
        evidence: curves of the held-out units.
        robustness: figures under perturbations, which the page shows where they are of the result's cohort.
        warnings: figures of warnings about tables, likewise.
    """
    cohort = cohort_table(result)
    sections = [_task(result, task, evidence) for task in result.tasks]
    if (terms := terms_table(result)) is not None:
        sections.append(_privacy(result, terms))
    perturbed = None if robustness is None else robustness.cohorts.get(result.cohort)
    if robustness is not None and perturbed is not None:
        sections.append(_robustness(robustness, perturbed))
    if warnings is not None and warnings.cohort == result.cohort:
        sections.append(_warnings(warnings))
    sections += [_training(result), _cohort(result, cohort), _conditions(result), _limits(result)]
    lead = f"{cohort.total[0]}, {cohort.total[1]} patients, federation {result.federation.name}, {result.date:%d %B %Y}"
    return document(
        f"{result.cohort}: simulated federation",
        sections,
        heading=result.cohort,
        kind="Consilium, simulated federation",
        lead=[paragraph(lead, quiet=True)],
        footer=FOOTER,
    )


def _task(result: SimulationResult, task: str, evidence: Evidence) -> PageSection:
    """Findings, tables and figures of one task."""
    outcome = result.outcomes[task]
    labelled = sum(site.labelled for site in result.sites.get(task, {}).values())
    size = f", {labelled:,} labelled patients" if labelled else ""
    drawings = [*_comparisons(result, task), *evidence.drawings(task), *_validation(result, task)]
    tables = [
        *(validation_table(result, task), group_table(result, task), own_patients_table(result, task)),
        *(site_table(result, task), division_table(result, task)),
    ]
    content = [
        paragraph(f"{outcome.kind.capitalize()}{size}, {count_text(len(result.folds), 'fold')}", quiet=True),
        stated([*findings(result, task), *worst_hospital(result, task)], findings=True),
        shown(results_table(result, task), mark_first=True),
        *map(drawn, drawings),
        *(shown(table) for table in tables if table is not None),
        _part("gaps", figure_gaps(result, task)),
    ]
    if costs := price(result, task):
        content += [Markup("<h3>Privacy and utility</h3>"), _part("price", costs)]
    private = _private(result, task)
    content += [] if private is None else [drawn(private)]
    return PageSection(readable(task).capitalize(), content, address=f"task-{task}")


def _part(name: str, statements: list[Statement]) -> Markup:
    """Write statements as a part with a name, or nothing without any."""
    return (
        Markup('<div data-part="{}">{}</div>').format(name, stated(statements)) if statements else Markup("")
    )


def _privacy(result: SimulationResult, terms: TextTable) -> PageSection:
    parts = [paragraph("What epsilon and delta promise", quiet=True), stated(promise(result)), shown(terms)]
    return PageSection("Privacy", parts, address="privacy")


def _robustness(robustness: Robustness, cohort: CohortRobustness) -> PageSection:
    made = Markup("Models trained for this by {}, {}").format(
        code("consilium bench robustness"), f"{robustness.date:%d %B %Y}"
    )
    parts = [paragraph(made, quiet=True)]
    for title, content in robustness_parts(cohort):
        parts += [Markup("<h3>{}</h3>").format(title), *content]
    return PageSection("Robustness", parts, address="robustness")


def _warnings(figures: WarningFigures) -> PageSection:
    made = Markup("Measured by {}, {}").format(code("consilium bench warnings"), f"{figures.date:%d %B %Y}")
    parts = [paragraph(made, quiet=True), *found_parts(figures)]
    if curve := coverage_parts(figures):
        parts += [Markup("<h3>Risk and coverage</h3>"), *curve]
    return PageSection("Warnings about tables", parts, address="warnings")


def _training(result: SimulationResult) -> PageSection:
    parts = []
    if plots := learning_plots(result):
        curves = figure([plot.chart for plot in plots], LEARNED)
        parts.append(Markup('<div id="learning">{}</div>').format(curves))
    parts.append(Markup('<div data-kept="{}">{}</div>').format(result.kept, shown(fold_table(result))))
    if (activity := activity_table(result)) is not None:
        parts.append(Markup("<h3>Parts of the network</h3>"))
        parts += [stated([idle])] if (idle := idle_warning(result)) else []
        parts.append(shown(activity))
    return PageSection("Training", parts, address="training")


def _cohort(result: SimulationResult, cohort: TextTable) -> PageSection:
    parts = [shown(cohort)]
    if withheld := withheld_sentences(result):
        parts.append(paragraph("A hospital with too few patients keeps a preprocessing statistic to itself:"))
        parts.append(stated(Statement("withheld", sentence) for sentence in withheld))
    return PageSection("Cohort", parts, address="cohort")


def _conditions(result: SimulationResult) -> PageSection:
    machine, memory = result.machine, result.peak_memory_mb
    pairs: dict[str, str | Markup] = {"Command": code(result.command)} if result.command else {}
    pairs |= {
        "Date": f"{result.date:%Y-%m-%d %H:%M %Z}",
        "Federation": Markup("{}, SHA-256 {}").format(result.federation.name, code(result.federation.digest)),
        "Seed": str(result.seed),
        "Engine": result.engine,
        "Machine": f"{machine.processor}, {machine.cores} cores, {machine.platform}",
        "Software": f"Python {machine.python}, PyTorch {machine.torch}",
        "Peak memory": MISSING if memory is None else f"{memory:,.0f} MB",
    }
    return PageSection("How it was run", [facts(pairs)], address="conditions")


def _limits(result: SimulationResult) -> PageSection:
    notes = (Statement("note", sentence) for sentence in result.notes)
    return PageSection("Read with care", [stated([*caveats(result), *notes])], address="limits")


def _private(result: SimulationResult, task: str) -> Drawing | None:
    plot = epsilon_plot(result, task)
    if plot is None:
        return None
    text = (
        "The federated model under patient-level differential privacy, by the epsilon that a whole run may cost: the "
        "smaller it is, the less any one patient's data can move the model. Points with 95% bootstrap intervals over "
        "held-out patients; lines are arms without privacy."
    )
    if len(result.folds) > 1:
        text += " Mean over folds; thin strokes are single folds."
    return Drawing((plot.chart,), text)


def _validation(result: SimulationResult, task: str) -> Iterator[Drawing]:
    """Smooth calibration and net benefit, of a task with one outcome."""
    validation = result.validation.get(task)
    if validation is None or len(validation.figures.outcomes) != 1:
        return
    outcome = validation.figures.outcomes[0]
    for figures in outcome.horizons:
        by = (
            ""
            if figures.horizon is None
            else f"by {written(round(figures.horizon, 2))} {validation.figures.unit}"
        )
        event = " ".join(filter(None, [readable(outcome.name) or "the event", by]))
        charts = [] if figures.curve is None else [calibration_chart(figures.curve.points, event)]
        if figures.decisions:
            charts.append(net_benefit_chart(figures.decisions, event))
        if charts:
            text = (
                "Smooth calibration with its 95% band, between the 5% and 95% quantiles of predicted risk. "
            )
            text = text if figures.curve is not None else ""
            text += (
                "Net benefit of treating whoever has a risk of the threshold or more, in events treated per "
            )
            yield Drawing(tuple(charts), text + "patient, with 95% bootstrap intervals.")


def _comparisons(result: SimulationResult, task: str) -> Iterator[Drawing]:
    arms = arm_plot(result, task)
    if arms:
        text = "95% bootstrap interval over held-out patients."
        if len(result.folds) > 1:
            text = f"Mean over folds and {text} Thin strokes are single folds."
        yield Drawing((arms.chart,), text)
    sites = site_plot(result, task)
    if sites:
        text = (
            "Every hospital's own model and the federated one, judged on the same held-out patients of all "
            "hospitals. In brackets: the hospital's labelled patients. The band is the 95% interval of the "
            "federated model."
        )
        yield Drawing((sites.chart,), text)
