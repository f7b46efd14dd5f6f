import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from simulations.families.patients.evidence import PatientEvidence
from simulations.report.page import render
from simulations.report.plots.privacy_plots import epsilon_plot
from simulations.report.plots.style import Plot
from simulations.report.words.privacy import price, promise, spent_text, terms_table
from simulations.results.schema import (
    ARM_NAMES,
    Arm,
    Difference,
    Judgement,
    RoundScores,
    SimulationResult,
    summarise,
)

MakeResult = Callable[..., SimulationResult]


def texts(plot: Plot | None) -> list[str]:
    drawing = "" if plot is None else str(plot.chart.svg)
    root = ET.fromstring(drawing.replace("<svg", '<svg xmlns:xlink="x"', 1))
    return ["".join(element.itertext()).strip() for element in root.iter("text")]


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("epsilons", [(8.0, 3.0, 1.0), (8.0,), (0.01, 100.0)])
def test_the_figure_has_every_epsilon_and_the_arms_without_privacy(
    make_private: MakeResult, epsilons: tuple[float, ...], folds: int
) -> None:
    result = make_private(*epsilons, folds=folds)
    shown = " ".join(texts(epsilon_plot(result, "response")))
    for run in result.privacy:
        assert f"{run.epsilon:g}" in shown
        assert f"{run.tasks['response']['auroc'].mean:.3f}" in shown
    arms: tuple[Arm, ...] = ("federated", "local", "pooled")
    for arm in arms:
        summary = result.headline("response", arm)
        assert summary is not None
        assert re.search(rf"{ARM_NAMES[arm]}\b.*, {summary.mean:.3f}", shown)


def test_the_files_own_privacy_stands_at_what_it_cost_and_beside_no_arm_without(
    make_private: MakeResult,
) -> None:
    result = make_private(None)
    shown = " ".join(texts(epsilon_plot(result, "response")))
    assert "4.99" in shown
    assert ARM_NAMES["federated"] not in shown


def test_without_private_runs_or_figures_there_is_nothing_to_draw(
    make_result: MakeResult, make_private: MakeResult
) -> None:
    plain = make_result(sites=2, tasks=("response",))
    assert epsilon_plot(plain, "response") is None
    assert (price(plain, "response"), promise(plain), terms_table(plain)) == ([], [], None)
    page = render(plain, PatientEvidence({}))
    assert "rivacy" not in page.partition("</head>")[2]
    assert "epsilon" not in page
    failed = make_private(2.0)
    (run,) = failed.privacy
    failed = failed.model_copy(update={"privacy": (run.model_copy(update={"tasks": {}, "paired": {}}),)})
    assert epsilon_plot(failed, "response") is None
    (said,) = price(failed, "response")
    assert said.code == "no-score"
    assert "epsilon 2 " in said.text
    assert f'<span data-statement="no-score">{said.text}</span>' in render(failed, PatientEvidence({}))


@pytest.mark.parametrize(
    ("low", "high", "verdict", "figures"),
    [
        (0.01, 0.05, Judgement.BETTER, "+0.030 (+0.010 to +0.050)"),
        (-0.01, 0.05, Judgement.UNDECIDED, "+0.030 (\N{MINUS SIGN}0.010 to +0.050)"),
        (-0.05, -0.01, Judgement.WORSE, "+0.030 (+0.010 to +0.050)"),
    ],
)
def test_a_price_is_claimed_only_outside_its_interval(
    make_private: MakeResult, low: float, high: float, verdict: Judgement, figures: str
) -> None:
    result = make_private(8.0)
    (run,) = result.privacy
    paired = Difference(difference=(low + high) / 2 if low * high > 0 else 0.03, low=low, high=high)
    changed = run.model_copy(update={"paired": {"response": paired}})
    (said,) = price(result.model_copy(update={"privacy": (changed,)}), "response")
    assert said.code == verdict
    assert "epsilon 8, AUROC 0." in said.text
    assert figures in said.text


def test_the_promise_is_told_in_factors(make_private: MakeResult) -> None:
    said = {part.code: part.text for part in promise(make_private(8.0, 3.0, 1.0, 30.0))}
    for factor in ("epsilon 8: 2,981", "epsilon 3: 20.1", "epsilon 1: 2.7", "epsilon 30: ", "0.001"):
        assert factor in said["factors"]
    assert {"folds", "rest-of-the-page"} <= set(said)
    assert "public-statistics" not in said
    (run,) = make_private(8.0, folds=1).privacy
    public = make_private(8.0, folds=1).model_copy(
        update={"privacy": (run.model_copy(update={"statistics": "public"}),)}
    )
    codes = [part.code for part in promise(public)]
    assert "public-statistics" in codes
    assert "folds" not in codes


def test_terms_and_cost_are_in_the_table_and_in_a_line(make_private: MakeResult) -> None:
    result = make_private(8.0, None)
    table = terms_table(result)
    assert table is not None
    first, second = table.rows
    assert first[:7] == ("8", "7.99", "0.001", "2.500", "1", "0.5", "2 \N{MULTIPLICATION SIGN} 40")
    assert second[1] == "4.99"
    assert "8" not in second[0]
    planned, own = map(spent_text, result.privacy)
    for figure in ("epsilon 8:", "epsilon 7.99", "delta 0.001", "rate 0.5", "2 steps", "40 rounds"):
        assert figure in planned
    assert "epsilon 4.99" in own
    assert own.count("epsilon") == 1, "the file has no target"


def test_the_page_of_a_private_federation_copes_without_losses(
    make_private: MakeResult, tmp_path: Path
) -> None:
    rounds = tuple(RoundScores(round=number) for number in range(1, 5))
    result = make_private(None).model_copy(update={"history": (rounds, rounds)})
    page = render(result, PatientEvidence({}))
    assert 'id="learning"' not in page
    assert 'data-kept="mean"' in page
    assert "nan" not in re.findall(r"\b\w+\b", page.lower())
    result.write(tmp_path / "result.json")
    assert SimulationResult.read(tmp_path / "result.json") == result


def test_an_undefined_private_figure_is_a_dash(make_private: MakeResult) -> None:
    result = make_private(8.0)
    (run,) = result.privacy
    undefined = run.model_copy(update={"tasks": {"response": {"auroc": summarise([None, None])}}})
    result = result.model_copy(update={"privacy": (undefined,)})
    assert [said.code for said in price(result, "response")] == ["no-score"]
    assert epsilon_plot(result, "response") is None
