"""Page of warnings about tables: what is found, and the risk-coverage curve."""

from markupsafe import Markup

from simulations.report.plots.coverage_plots import coverage_plot
from simulations.report.robustness import environment
from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.results.schema import MISSING
from simulations.results.spoiling import WarningFigures


def render_warnings(figures: WarningFigures) -> str:
    """Render the figures as one self-contained page of HTML."""
    plot = coverage_plot(figures)
    return (
        environment()
        .get_template("spoiling.html.j2")
        .render(
            figures=figures,
            findings=_findings(figures),
            found=_found(figures),
            curve=[] if plot is None else [Markup(plot.svg)],
        )
    )


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
