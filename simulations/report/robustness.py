"""Curves of robustness, as a page of their own and as a section of a result's page."""

from collections.abc import Iterator

from markupsafe import Markup

from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import bullets, paragraph
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.robustness_plots import robustness_plot
from simulations.report.plots.style import readable
from simulations.report.words.robustness import (
    MEANINGS,
    kind_finding,
    robustness_findings,
    robustness_table,
)
from simulations.report.words.statement import Statement, stated
from simulations.report.words.tables import shown
from simulations.results.robustness import CohortRobustness, Robustness


def robustness_parts(cohort: CohortRobustness) -> Iterator[tuple[str, list[Markup]]]:
    """Yield title, and findings, curves and table, of every task of a cohort."""
    for task in cohort.headlines:
        statements = [*robustness_findings(cohort, task), *_left_out(cohort)]
        parts = [stated(statements), drawn(_curves(cohort, task)), shown(robustness_table(cohort, task))]
        yield readable(task).capitalize(), parts


def render_robustness(figures: Robustness) -> str:
    """Render the curves of all cohorts as one self-contained page of HTML."""
    subtitle = paragraph("Scores at the hardest level of every perturbation, and their change", quiet=True)
    sections = [
        PageSection(f"{name}: {title}", [subtitle, *parts])
        for name, cohort in figures.cohorts.items()
        for title, parts in robustness_parts(cohort)
    ]
    machine = figures.machine
    limits = (
        "Perturbations were made by a program. Real hospitals differ in more than one way at a time, and in ways that "
        "nobody thought of.",
        "Cox, logistic regression and forest are fitted to the patients of all hospitals in one place, with the same "
        "perturbation.",
        f"Measured on {machine.processor}, {machine.cores} cores, Python {machine.python}, PyTorch {machine.torch}.",
    )
    sections.append(PageSection("Read with care", [bullets(limits)], address="limits"))
    cohorts = ", ".join(figures.cohorts)
    return document(
        f"Robustness: {cohorts}",
        sections,
        heading="Robustness",
        kind="Consilium, simulated federation",
        lead=[paragraph(f"{cohorts}, {figures.date:%d %B %Y}", quiet=True)],
        footer="The numbers on this page are in robustness.json beside it. No patient's row is in either file.",
    )


def drawn(drawing: Drawing) -> Markup:
    """Write charts over their caption."""
    return figure(drawing.charts, drawing.caption)


def _left_out(cohort: CohortRobustness) -> Iterator[Statement]:
    for title, reason in cohort.left_out.items():
        yield Statement("left-out", f"Left out: {title}. {reason}")


def _curves(cohort: CohortRobustness, task: str) -> Drawing:
    """Draw a figure per kind of perturbation."""
    kinds = [kind for kind in cohort.by_kind() if kind_finding(cohort, task, kind) is not None]
    plots = (robustness_plot(cohort, task, kind, kind_finding(cohort, task, kind) or "") for kind in kinds)
    meant = "; ".join(f"{kind}: {MEANINGS[kind]}" for kind in kinds if kind in MEANINGS)
    caption = (
        "Score of every model without and under a perturbation, mean over seeds and folds; levels are evenly spaced. "
        f"{meant[:1].upper()}{meant[1:]}."
    )
    return Drawing(tuple(plot.chart for plot in plots if plot is not None), caption)
