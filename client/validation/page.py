"""Validation as one self-contained page, which loads nothing and holds no patient's row."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from client.validation.lines import MISSING, title
from client.validation.report import ValidationReport
from common.counting import written
from common.validation.drawings import calibration_svg, net_benefit_svg
from common.validation.figures import FLOOR, HorizonFigures, OutcomeFigures, TaskFigures


@dataclass(frozen=True)
class HorizonSection:
    """Figures of a horizon for the page, with its drawings."""

    name: str
    figures: HorizonFigures
    drawings: tuple[Markup, ...]


@dataclass(frozen=True)
class OutcomeSection:
    """Figures of an outcome for the page."""

    title: str
    metric: str
    outcome: OutcomeFigures
    horizons: tuple[HorizonSection, ...]
    grouped_by: str


def page(report: ValidationReport) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=PackageLoader("client.validation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    sections = [_section(task, outcome) for task in report.tasks for outcome in task.outcomes]
    template = environment.get_template("validation.html.j2")
    return template.render(report=report, sections=sections, floor=FLOOR, missing=MISSING)


def _section(task: TaskFigures, outcome: OutcomeFigures) -> OutcomeSection:
    return OutcomeSection(
        title=title(task, outcome).replace("_", " "),
        metric=task.metric,
        outcome=outcome,
        horizons=tuple(_horizon(task, outcome, figures) for figures in outcome.horizons),
        grouped_by="" if outcome.grouped_by is None else f"by {written(outcome.grouped_by)} {task.unit}",
    )


def _horizon(task: TaskFigures, outcome: OutcomeFigures, figures: HorizonFigures) -> HorizonSection:
    name = "" if figures.horizon is None else f"by {written(figures.horizon)} {task.unit}"
    event = " ".join(filter(None, [outcome.name or "the event", name]))
    drawings = []
    if figures.curve is not None:
        drawings.append(Markup(calibration_svg(figures.curve.points, event)))
    if figures.decisions:
        drawings.append(Markup(net_benefit_svg(figures.decisions, f"Decisions on {event}")))
    return HorizonSection(name, figures, tuple(drawings))
