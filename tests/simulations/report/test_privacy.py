import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from simulations.experiment.evidence import Evidence
from simulations.report.page import render
from simulations.report.privacy import price, promise, spent_text, terms_table
from simulations.report.privacy_plots import epsilon_plot
from simulations.report.style import Plot
from simulations.results.schema import Difference, RoundScores, SimulationResult, summarise

MakeResult = Callable[..., SimulationResult]


def texts(plot: Plot | None) -> list[str]:
    drawing = "" if plot is None else plot.svg
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
    for name in (
        "Federated, without privacy, 0.",
        "Each hospital alone, 0.",
        "Same network, pooled data, 0.",
    ):
        assert name in shown


def test_the_files_own_privacy_stands_at_what_it_cost_and_beside_no_arm_without(
    make_private: MakeResult,
) -> None:
    result = make_private(None)
    shown = " ".join(texts(epsilon_plot(result, "response")))
    assert "4.99" in shown
    assert "without privacy" not in shown


def test_without_private_runs_or_figures_there_is_nothing_to_draw(
    make_result: MakeResult, make_private: MakeResult
) -> None:
    plain = make_result(sites=2, tasks=("response",))
    assert epsilon_plot(plain, "response") is None
    assert (price(plain, "response"), promise(plain), terms_table(plain)) == ([], [], None)
    page = render(plain, Evidence({}))
    assert "rivacy" not in page.partition("</style>")[2]
    failed = make_private(2.0)
    (run,) = failed.privacy
    failed = failed.model_copy(update={"privacy": (run.model_copy(update={"tasks": {}, "paired": {}}),)})
    assert epsilon_plot(failed, "response") is None
    assert price(failed, "response") == ["At epsilon 2 there is no score on held-out patients."]
    assert "there is no score" in render(failed, Evidence({}))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.05, "privacy costs +0.030 (+0.010 to +0.050)."),
        (
            -0.01,
            0.05,
            "no difference to training without privacy shown, +0.030 (\N{MINUS SIGN}0.010 to +0.050).",
        ),
        (-0.05, -0.01, "no price: better than without privacy, by +0.030 (+0.010 to +0.050)."),
    ],
)
def test_a_price_is_claimed_only_outside_its_interval(
    make_private: MakeResult, low: float, high: float, said: str
) -> None:
    result = make_private(8.0)
    (run,) = result.privacy
    paired = Difference(difference=(low + high) / 2 if low * high > 0 else 0.03, low=low, high=high)
    changed = run.model_copy(update={"paired": {"response": paired}})
    (sentence,) = price(result.model_copy(update={"privacy": (changed,)}), "response")
    assert sentence.startswith("At epsilon 8, AUROC 0.")
    assert sentence.endswith(said)


def test_the_promise_is_told_in_factors(make_private: MakeResult) -> None:
    said = " ".join(promise(make_private(8.0, 3.0, 1.0, 30.0)))
    assert (
        "epsilon 8: 2,981; epsilon 3: 20.1; epsilon 1: 2.7; epsilon 30: over a million. Delta: 0.001." in said
    )
    assert "Every fold was a run of its own" in said
    assert "scores were computed from held-out patients exactly" in said
    assert "public statistics" not in said
    (run,) = make_private(8.0, folds=1).privacy
    public = make_private(8.0, folds=1).model_copy(
        update={"privacy": (run.model_copy(update={"statistics": "public"}),)}
    )
    assert "the guarantee does not cover them" in " ".join(promise(public))
    assert "Every fold" not in " ".join(promise(public))


def test_terms_and_cost_are_in_the_table_and_in_a_line(make_private: MakeResult) -> None:
    result = make_private(8.0, None)
    table = terms_table(result)
    assert table is not None
    first, second = table.rows
    assert first[:7] == ("8", "7.99", "0.001", "2.500", "1", "0.5", "2 \N{MULTIPLICATION SIGN} 40")
    assert second[0] == "of the file"
    assert "sampling rate 0.5 and 2 steps in each of 40 rounds." in spent_text(result.privacy[0])
    assert "under the privacy of its federation file" in spent_text(result.privacy[1])


def test_the_page_of_a_private_federation_copes_without_losses(
    make_private: MakeResult, tmp_path: Path
) -> None:
    rounds = tuple(RoundScores(round=number) for number in range(1, 5))
    result = make_private(None).model_copy(update={"history": (rounds, rounds)})
    page = render(result, Evidence({}))
    assert "round by round" not in page
    assert "the mean over the second half of the rounds" in page
    assert "nan" not in re.findall(r"\b\w+\b", page.lower())
    result.write(tmp_path / "result.json")
    assert SimulationResult.read(tmp_path / "result.json") == result


def test_an_undefined_private_figure_is_a_dash(make_private: MakeResult) -> None:
    result = make_private(8.0)
    (run,) = result.privacy
    undefined = run.model_copy(update={"tasks": {"response": {"auroc": summarise([None, None])}}})
    result = result.model_copy(update={"privacy": (undefined,)})
    assert price(result, "response") == ["At epsilon 8 there is no score on held-out patients."]
    assert epsilon_plot(result, "response") is None
