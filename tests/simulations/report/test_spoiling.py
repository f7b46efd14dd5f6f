"""Page of warnings: figures, curve and nothing from elsewhere."""

import re

from simulations.report.spoiling import render_warnings
from simulations.results.spoiling import CoveragePoint, SpoiltBrier, WarningFigures, WarningRow


def figures(cohort: str = "a & b") -> WarningFigures:
    return WarningFigures(
        cohort=cohort,
        task="survival",
        horizon=36.0,
        rows=(
            WarningRow(fault="none", patients=192, warned=0.016, withheld=0.005),
            WarningRow(fault="rna: sign turned", patients=163, warned=0.945, withheld=0.81, together=1.0),
        ),
        coverage=(
            CoveragePoint(share=1.0, patients=192, brier=0.2, concordance=0.6),
            CoveragePoint(share=0.5, patients=96, brier=0.15, concordance=None),
        ),
        spoilt=SpoiltBrier(
            spoilt=0.2, answered=0.8, everybody=0.25, rest=0.2, coverage={1.0: 0.25, 0.5: None}
        ),
    )


def test_the_page_has_findings_table_and_curve() -> None:
    page = render_warnings(figures())
    assert {"false-warnings", "abstention"} <= set(re.findall(r'data-statement="([^"]+)"', page))
    for text in ("a &amp; b", "1.6%", "94.5%", "rna: sign turned", "0.150 of 50%", "<svg"):
        assert text in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_figures_without_a_time_have_no_curve() -> None:
    page = render_warnings(figures().model_copy(update={"coverage": (), "spoilt": None, "task": None}))
    assert 'id="coverage"' not in page
