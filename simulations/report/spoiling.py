"""Page of warnings about tables: faults that are noticed, and the risk-coverage curve."""

from markupsafe import Markup

from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import bullets, paragraph
from simulations.report.plots.coverage_plots import coverage_plot
from simulations.report.words.statement import Statement, stated
from simulations.report.words.tables import TextTable, shown
from simulations.results.schema import MISSING
from simulations.results.spoiling import WarningFigures

COVERAGE = (
    "Brier score of the patients who are predicted, when those with the most unusual tables are left out first. Less "
    "is better. Few events make it uneven."
)
"""Caption of the risk-coverage curve."""


def render_warnings(figures: WarningFigures) -> str:
    """Render the figures as one self-contained page of HTML."""
    machine = figures.machine
    held_out = paragraph("Held-out patients", quiet=True)
    parts = [held_out, *found_parts(figures)]
    sections = [PageSection("Tables that were spoilt on purpose", parts, address="found")]
    if curve := coverage_parts(figures):
        sections.append(PageSection("Risk and coverage", curve, address="coverage"))
    limits = (
        "Faults were made by a program. Real ones are others, and often smaller.",
        f"Measured on {machine.processor}, {machine.cores} cores, Python {machine.python}, PyTorch {machine.torch}.",
    )
    sections.append(PageSection("Read with care", [bullets(limits)], address="limits"))
    return document(
        f"Warnings: {figures.cohort}",
        sections,
        heading="Warnings about tables",
        kind="Consilium, simulated federation",
        lead=[paragraph(f"{figures.cohort}, {figures.date:%d %B %Y}", quiet=True)],
        footer="The numbers on this page are in warnings.json beside it. No patient's row is in either file.",
    )


def coverage_parts(figures: WarningFigures) -> list[Markup]:
    """Return the risk-coverage curve as parts of a page; none without a time to an event."""
    plot = coverage_plot(figures)
    if plot is None:
        return []
    judged = paragraph(f"{figures.task} by {figures.horizon:.3g}", quiet=True)
    return [judged, figure([plot.chart], COVERAGE)]


def found_parts(figures: WarningFigures) -> list[Markup]:
    """Return findings and table of spoilt tables as parts of a page."""
    return [stated(_findings(figures)), shown(_found(figures))]


def _findings(figures: WarningFigures) -> list[Statement]:
    ordinary = figures.rows[0]
    statements = [
        Statement(
            "false-warnings",
            f"Of {ordinary.patients:,} held-out patients whose tables are as they are, {ordinary.warned:.1%} are "
            f"warned about, and {ordinary.withheld:.1%} are not predicted.",
        )
    ]
    spoilt = figures.spoilt
    if spoilt is not None and spoilt.everybody is not None and spoilt.rest is not None:
        statements.append(
            Statement(
                "abstention",
                f"With the tables of {spoilt.spoilt:.0%} of the patients spoilt, the Brier score is "
                f"{spoilt.everybody:.3f} over all, and {spoilt.rest:.3f} over the "
                f"{spoilt.answered:.0%} who are predicted.",
            )
        )
    return statements


def _found(figures: WarningFigures) -> TextTable:
    rows = tuple(
        (
            row.fault,
            f"{row.patients:,}",
            f"{row.warned:.1%}",
            f"{row.withheld:.1%}",
            MISSING if row.together is None else f"{row.together:.1%}",
        )
        for row in figures.rows
    )
    heads = ("Fault", "Patients", "Found", "Not predicted", "Tables of ten found")
    return TextTable(heads, rows, "Every patient is judged alone, unless the column says ten.")
