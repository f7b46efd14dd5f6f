"""Page and section of robustness."""

from collections.abc import Callable

from simulations.report.page import render
from simulations.report.plots.drawing import NoEvidence
from simulations.report.robustness import render_robustness
from simulations.results.machine import Machine
from simulations.results.robustness import CohortRobustness, Condition, Robustness
from simulations.results.schema import SimulationResult

MakeResult = Callable[..., SimulationResult]


def figures(name: str) -> Robustness:
    conditions = [
        Condition(
            kind=kind, level=level, scores={"response": {"federated": (score,), "logistic": (score - 0.1,)}}
        )
        for kind, level, score in (
            ("none", "", 0.8),
            ("label skew", "alpha 0.1", 0.7),
            ("label noise", "10%", 0.75),
        )
    ]
    cohort = CohortRobustness(
        headlines={"response": "auroc"},
        conditions=tuple(conditions),
        left_out={"labels kept 25%": "<failed>"},
    )
    machine = Machine(platform="Linux", processor="Made-up CPU", cores=2, python="3.11.7", torch="2.11.0")
    return Robustness(machine=machine, cohorts={name: cohort})


def test_the_page_stands_alone_and_has_a_figure_per_kind() -> None:
    page = render_robustness(figures("a & b"))
    assert page.count('role="img"') == 2
    assert "alpha 0.1" in page
    assert "a &amp; b: Response" in page
    assert "&lt;failed&gt;" in page
    assert page.count("<script") == 1
    assert "src=" not in page
    assert "Made-up CPU" in page


def test_a_result_shows_the_robustness_of_its_own_cohort_alone(make_result: MakeResult) -> None:
    result = make_result(sites=2, tasks=("response",), rounds=2)
    without = render(result, NoEvidence())
    assert 'id="robustness"' not in without
    assert render(result, NoEvidence(), figures("another")) == without
    beside = render(result, NoEvidence(), figures(result.cohort))
    assert 'id="robustness"' in beside
    assert beside.count('role="img"') == without.count('role="img"') + 2
