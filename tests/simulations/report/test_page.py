import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from common.evaluation.predictions import SurvivalPrediction
from common.models.activity import Activity, BranchActivity
from common.pages.figure import Chart, titled
from simulations.families.patients.evidence import PatientEvidence
from simulations.report.outcomes.evidence import TaskEvidence
from simulations.report.page import render
from simulations.report.plots.style import Plot
from simulations.report.words.text import caveats, findings, paired_text
from simulations.results.schema import (
    ARM_NAMES,
    Difference,
    Fold,
    FoldActivity,
    Judgement,
    SimulationResult,
    summarise,
)
from tests.simulations.conftest import made_up_evidence, made_up_result
from tests.simulations.report.test_spoiling import figures as spoilt_figures

MakeResult = Callable[..., SimulationResult]
MakeEvidence = Callable[..., PatientEvidence]
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Text, attributes and statements of a page, and elements that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.statements: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.attributes |= set(found.items())
        self.statements |= {found["data-statement"]: ""} if "data-statement" in found else {}
        self.links += [value for name, value in found.items() if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open[-1:] == ["span"] and self.statements:
            self.statements[next(reversed(self.statements))] += data


@pytest.fixture(scope="module")
def usual() -> str:
    """A page of all tasks; its plots take seconds to draw."""
    return render(made_up_result(), made_up_evidence())


@pytest.fixture
def quick_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots without layout, for pages of which the words are looked at."""
    monkeypatch.setattr(
        Plot,
        "chart",
        property(lambda plot: Chart(titled("<svg></svg>", plot.title, plot.finding), plot.title)),
    )


def test_the_page_is_whole_and_loads_nothing(usual: str) -> None:
    text = usual
    page = Page(text)
    assert page.open == []
    assert not {"link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("script") == 1  # the page's own, by its hash
    assert all(link.startswith("#") for link in page.links)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in text


def test_the_page_shows_what_was_run_and_found(make_result: MakeResult, usual: str) -> None:
    result = make_result()
    page = Page(usual)
    words = " ".join(page.words)
    for text in (
        result.federation.digest,
        "consilium simulate five-cancers --folds 2 --seed 7",
        "Overall survival",
        "0.071",
        "Hospital 01",
        "Department of Oncology <east wing>",
        "log-rank",
        "hepatotoxicity",
    ):
        assert text in words, text
    for count in ("(12)", "(40)", *result.withheld):
        assert count in page.statements["withheld"]
    assert page.statements["note"].strip() == result.notes[0]
    assert "no-medical-device" in page.statements
    assert "nan" not in re.findall(r"\b\w+\b", words.lower())


def test_names_are_escaped(make_result: MakeResult, make_evidence: MakeEvidence) -> None:
    result = make_result().model_copy(update={"cohort": "<script>alert(1)</script> $x$"})
    page = Page(render(result, make_evidence()))
    assert page.tags.count("script") == 1
    assert page.open == []


def test_no_patient_is_in_either_file(
    make_result: MakeResult, make_evidence: MakeEvidence, tmp_path: Path
) -> None:
    evidence = make_evidence()
    survival = evidence.tasks["overall_survival"]
    marked = []
    for fold in survival.folds:
        labels, labelled = fold.labels.copy(), fold.labelled.copy()
        labels[:3, 0], labelled[:3] = 777.123, True
        assert isinstance(fold.prediction, SurvivalPrediction)
        risk = fold.prediction.risk.copy()
        risk[:3] = 0.4242424242
        marked.append(
            replace(fold, labels=labels, labelled=labelled, prediction=replace(fold.prediction, risk=risk))
        )
    evidence = PatientEvidence({**evidence.tasks, "overall_survival": TaskEvidence(survival.task, marked)})
    result = make_result()
    (tmp_path / "report.html").write_text(render(result, evidence), encoding="utf-8")
    result.write(tmp_path / "result.json")
    in_years = f"{777.123 / 365.25:.4f}"
    for file in tmp_path.iterdir():
        text = file.read_text(encoding="utf-8")
        for canary in ("777.123", "777.12", "0.42424242", in_years):
            assert canary not in text


def test_curves_do_not_move_with_a_time_between_two_points_of_the_grid(
    make_result: MakeResult, make_evidence: MakeEvidence
) -> None:
    result = make_result(sites=2, tasks=("overall_survival",))
    survival = make_evidence(folds=1).tasks["overall_survival"]
    fold = survival.folds[0]
    nudged = fold.labels.copy()
    patient = int(np.flatnonzero((nudged[:, 0] > 300) & (nudged[:, 0] < 1000) & (nudged[:, 1] > 0))[0])
    nudged[patient, 0] += 0.01
    pages = [
        render(
            result,
            PatientEvidence({"overall_survival": TaskEvidence(survival.task, [replace(fold, labels=each)])}),
        )
        for each in (fold.labels, nudged)
    ]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(("sites", "folds"), [(1, 1), (2, 6), (40, 2)])
def test_any_number_of_hospitals_and_folds(
    make_result: MakeResult, make_evidence: MakeEvidence, sites: int, folds: int
) -> None:
    tasks = ("overall_survival", "toxicity")
    evidence = make_evidence(patients=40, folds=folds).tasks
    page = Page(
        render(
            make_result(sites=sites, folds=folds, tasks=tasks),
            PatientEvidence({task: evidence[task] for task in tasks}),
        )
    )
    words = " ".join(page.words)
    assert page.open == []
    assert f"{sites} hospital{'s' if sites > 1 else ''}" in words
    assert ("one-fold" in page.statements) == (folds == 1)
    assert ("±" in words) == (folds > 1)


def test_warnings_about_tables_are_shown_with_their_curve(make_result: MakeResult) -> None:
    result = make_result(sites=2, tasks=("toxicity",))
    judged = spoilt_figures(result.cohort)
    page = Page(render(result, PatientEvidence({}), warnings=judged))
    assert ("id", "warnings") in page.attributes
    assert {"false-warnings", "abstention"} <= set(page.statements)
    assert "0.150 of 50%" in render(result, PatientEvidence({}), warnings=judged)
    for other in (None, spoilt_figures("another cohort")):
        assert ("id", "warnings") not in Page(render(result, PatientEvidence({}), warnings=other)).attributes


def test_without_evidence_history_or_sites_the_tables_remain(make_result: MakeResult) -> None:
    bare = make_result(sites=1, tasks=("toxicity",)).model_copy(update={"history": (), "sites": {}})
    page = Page(render(bare, PatientEvidence({})))
    assert ARM_NAMES["local"] in " ".join(page.words)
    assert ("id", "training") in page.attributes
    assert ("id", "learning") not in page.attributes


def test_an_undefined_metric_is_a_dash_and_is_said(make_result: MakeResult) -> None:
    result = make_result(sites=2, tasks=("response",))
    arms = {**result.tasks["response"], "forest": {"auroc": summarise([None, None])}}
    result = result.model_copy(update={"tasks": {"response": arms}})
    (undefined,) = [limit.text for limit in caveats(result) if limit.code == "undefined"]
    assert f"{ARM_NAMES['forest']} (response)" in undefined
    assert not any(name in undefined for arm, name in ARM_NAMES.items() if arm != "forest")
    nothing = {"federated": {"auroc": summarise([None])}}
    (said,) = findings(result.model_copy(update={"tasks": {"response": nothing}}), "response")
    assert said.code == "no-score"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.03, Judgement.BETTER),
        (-0.03, -0.01, Judgement.WORSE),
        (-0.01, 0.03, Judgement.UNDECIDED),
        (None, 0.03, Judgement.UNKNOWN),
    ],
)
def test_a_difference_is_claimed_only_outside_its_interval(
    make_result: MakeResult, low: float | None, high: float, verdict: Judgement
) -> None:
    result = make_result(sites=2, tasks=("response",))
    difference = Difference(difference=0.02, low=low, high=high)
    assert difference.verdict is verdict
    said = {}
    for name, paired in (("plain", {}), ("judged", {"response": {"pooled": difference}})):
        found = findings(result.model_copy(update={"paired": paired}), "response")
        said[name] = {statement.code: statement.text for statement in found}
    changed = {code for code, text in said["judged"].items() if text != said["plain"][code]}
    assert changed == (set() if verdict is Judgement.UNKNOWN else {"pooled"})
    assert verdict is Judgement.UNKNOWN or paired_text(difference) in said["judged"]["pooled"]


def test_a_fold_that_lacked_a_quorum_is_said(make_result: MakeResult) -> None:
    result = make_result(sites=1, folds=1)
    assert "no-quorum" not in [limit.code for limit in caveats(result)]
    lacking = result.model_copy(update={"folds": (Fold(status="partial", rounds=12),)})
    (said,) = [limit.text for limit in caveats(lacking) if limit.code == "no-quorum"]
    assert "fold 1 " in said


@pytest.mark.usefixtures("quick_plots")
def test_what_intervals_do_not_cover_and_which_round_is_kept_are_said(make_result: MakeResult) -> None:
    page = Page(render(make_result(), PatientEvidence({})))
    assert "intervals" in page.statements
    assert ("data-kept", "latest") in page.attributes


@pytest.mark.usefixtures("quick_plots")
def test_parts_of_the_network_are_shown_and_idle_ones_warned_of(
    make_result: MakeResult, make_evidence: MakeEvidence, usual: str
) -> None:
    result = make_result()
    assert "idle" not in Page(usual).statements
    idle = BranchActivity(active=0.2, share=dict.fromkeys(result.tasks, 0.3), gradient=1.0)
    activity = Activity(branches={"expression": idle}, network=dict.fromkeys(result.tasks, 0.6))
    fold = result.folds[0].model_copy(update={"activity": FoldActivity(initial=activity, kept=activity)})
    page = Page(render(result.model_copy(update={"folds": (fold, result.folds[1])}), make_evidence()))
    assert "expression" in page.statements["idle"]
    assert "20.0%" in page.words
