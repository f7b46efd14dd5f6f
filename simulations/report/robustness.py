"""Curves of robustness, as a page of their own and as a section of a result's page."""

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from simulations.report.plots.drawing import Drawing
from simulations.report.plots.robustness_plots import robustness_plot
from simulations.report.plots.style import readable
from simulations.report.words.robustness import (
    MEANINGS,
    kind_finding,
    robustness_findings,
    robustness_table,
)
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.results.robustness import CohortRobustness, Robustness


@dataclass(frozen=True)
class RobustnessSection:
    """Findings, curves and table of one task of a cohort."""

    title: str
    findings: list[Statement]
    drawing: Drawing
    table: TextTable


def robustness_sections(cohort: CohortRobustness) -> list[RobustnessSection]:
    """Sections of a cohort, one per task."""
    return [
        RobustnessSection(
            title=readable(task).capitalize(),
            findings=[*robustness_findings(cohort, task), *_left_out(cohort)],
            drawing=_curves(cohort, task),
            table=robustness_table(cohort, task),
        )
        for task in cohort.headlines
    ]


def render_robustness(figures: Robustness) -> str:
    """Render the curves of all cohorts as one self-contained page of HTML."""
    return (
        environment()
        .get_template("robustness.html.j2")
        .render(
            cohorts={name: robustness_sections(cohort) for name, cohort in figures.cohorts.items()},
            figures=figures,
        )
    )


def environment() -> Environment:
    """Templates of the pages."""
    return Environment(
        loader=PackageLoader("simulations.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _left_out(cohort: CohortRobustness) -> Iterator[Statement]:
    for title, reason in cohort.left_out.items():
        yield Statement("left-out", f"Left out: {title}. {reason}")


def _curves(cohort: CohortRobustness, task: str) -> Drawing:
    """Draw a figure per kind of perturbation, side by side where there is room."""
    kinds = [kind for kind in cohort.by_kind() if kind_finding(cohort, task, kind) is not None]
    plots = (robustness_plot(cohort, task, kind, kind_finding(cohort, task, kind) or "") for kind in kinds)
    meant = "; ".join(f"{kind}: {MEANINGS[kind]}" for kind in kinds if kind in MEANINGS)
    caption = (
        "Score of every model without and under a perturbation, mean over seeds and folds; levels are evenly spaced. "
        f"{meant[:1].upper()}{meant[1:]}."
    )
    return Drawing(tuple(Markup(plot.svg) for plot in plots if plot is not None), caption)
