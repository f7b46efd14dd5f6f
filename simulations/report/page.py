"""Result as one self-contained page: figures, tables, conditions of the run, and limits.

The page loads nothing from elsewhere and holds no patient's row: curves are drawn from aggregates.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from common.counting import written
from common.validation.drawings import calibration_svg, net_benefit_svg
from simulations.report.plots.arm_plots import arm_plot, learning_curves, site_plot
from simulations.report.plots.drawing import Drawing, Evidence
from simulations.report.plots.privacy_plots import epsilon_plot
from simulations.report.plots.style import readable
from simulations.report.robustness import environment, robustness_sections
from simulations.report.words.absences import figure_gaps
from simulations.report.words.activity import activity_table, idle_warning
from simulations.report.words.divisions import division_table, worst_hospital
from simulations.report.words.privacy import price, promise, terms_table
from simulations.report.words.statement import Statement
from simulations.report.words.tables import (
    TextTable,
    cohort_table,
    fold_table,
    group_table,
    own_patients_table,
    results_table,
    site_table,
)
from simulations.report.words.text import caveats, count_text, findings, withheld_sentences
from simulations.report.words.validation import validation_table
from simulations.results.robustness import Robustness
from simulations.results.schema import MISSING, SimulationResult


@dataclass(frozen=True)
class Section:
    """Findings, tables and figures of one task."""

    task: str
    title: str
    subtitle: str
    findings: list[Statement]
    results: TextTable
    groups: TextTable | None
    divisions: TextTable | None
    own_patients: TextTable | None
    sites: TextTable | None
    gaps: list[Statement]
    drawings: list[Drawing]
    validation: TextTable | None
    price: list[Statement]
    private: Drawing | None


def render(result: SimulationResult, evidence: Evidence, robustness: Robustness | None = None) -> str:
    """Render the page as HTML.

    Args:
        result: the figures.
        evidence: curves of the held-out units.
        robustness: figures under perturbations, which the page shows where they are of the result's cohort.
    """
    learning = learning_curves(result)
    perturbed = None if robustness is None else robustness.cohorts.get(result.cohort)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            sections=[_section(result, task, evidence) for task in result.tasks],
            learning=Markup(learning.svg) if learning else None,
            cohort=cohort_table(result),
            folds=fold_table(result),
            activity=activity_table(result),
            idle=idle_warning(result),
            promise=promise(result),
            terms=terms_table(result),
            caveats=caveats(result),
            withheld=withheld_sentences(result),
            missing=MISSING,
            robustness=[] if perturbed is None else robustness_sections(perturbed),
            robustness_date=None if robustness is None else robustness.date,
        )
    )


def _section(result: SimulationResult, task: str, evidence: Evidence) -> Section:
    outcome = result.outcomes[task]
    labelled = sum(site.labelled for site in result.sites.get(task, {}).values())
    size = f", {labelled:,} labelled patients" if labelled else ""
    return Section(
        task=task,
        title=readable(task).capitalize(),
        subtitle=f"{outcome.kind.capitalize()}{size}, {count_text(len(result.folds), 'fold')}",
        findings=[*findings(result, task), *worst_hospital(result, task)],
        results=results_table(result, task),
        groups=group_table(result, task),
        divisions=division_table(result, task),
        own_patients=own_patients_table(result, task),
        sites=site_table(result, task),
        gaps=figure_gaps(result, task),
        drawings=[*_comparisons(result, task), *evidence.drawings(task), *_validation(result, task)],
        validation=validation_table(result, task),
        price=price(result, task),
        private=_private(result, task),
    )


def _private(result: SimulationResult, task: str) -> Drawing | None:
    figure = epsilon_plot(result, task)
    if figure is None:
        return None
    text = (
        "The federated model under patient-level differential privacy, by the epsilon that a whole run may cost: the "
        "smaller it is, the less any one patient's data can move the model. Points with 95% bootstrap intervals over "
        "held-out patients; lines are arms without privacy."
    )
    if len(result.folds) > 1:
        text += " Mean over folds; thin strokes are single folds."
    return Drawing((Markup(figure.svg),), text)


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
        svgs = [] if figures.curve is None else [Markup(calibration_svg(figures.curve.points, event))]
        if figures.decisions:
            svgs.append(Markup(net_benefit_svg(figures.decisions, f"Decisions on {event}")))
        if svgs:
            text = (
                "Smooth calibration with its 95% band, between the 5% and 95% quantiles of predicted risk. "
            )
            text = text if figures.curve is not None else ""
            text += (
                "Net benefit of treating whoever has a risk of the threshold or more, in events treated per "
            )
            yield Drawing(tuple(svgs), text + "patient, with 95% bootstrap intervals.")


def _comparisons(result: SimulationResult, task: str) -> Iterator[Drawing]:
    arms = arm_plot(result, task)
    if arms:
        text = "95% bootstrap interval over held-out patients."
        if len(result.folds) > 1:
            text = f"Mean over folds and {text} Thin strokes are single folds."
        yield Drawing((Markup(arms.svg),), text)
    sites = site_plot(result, task)
    if sites:
        text = (
            "Every hospital's own model and the federated one, judged on the same held-out patients of all "
            "hospitals. In brackets: the hospital's labelled patients. The band is the 95% interval of the "
            "federated model."
        )
        yield Drawing((Markup(sites.svg),), text)
