"""Whole runs under differential privacy: what they tell, what they cost, and what they leave alone."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ended

from client.ledger.ledger import LEDGER, Ledger
from client.site_folder.policy import WITHOUT_PRIVACY
from common.agreement.federation import FILE_NAME, load, save
from common.agreement.privacy_settings import Privacy
from common.privacy.accounting import Release, spend
from common.privacy.planning import plan_noise, planned_releases, with_privacy
from server.records.journal import RoundRecord
from server.records.result import WEIGHTS
from simulations.cohorts.folders import find_sites
from simulations.experiment.experiment import Experiment, ExperimentPlan, FoldOutcome
from simulations.experiment.summary import summarise_experiment
from simulations.report.words.privacy import spent_text
from simulations.results.schema import SimulationResult

SmallCohort = Callable[..., Path]
Consilium = Callable[..., Ended]
OWN = Privacy(noise_multiplier=3.0, sampling_rate=0.5, expected_batch_size=12, steps=2, delta=1e-3)


class Nobody:
    """Watches nothing."""

    def stage(self, text: str) -> None:
        """Look away."""

    def round(self, fold: int, record: RoundRecord) -> None:
        """Look away."""


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def left_in(home: Path) -> set[str]:
    """Files, but for the list of fonts that matplotlib and fontconfig keep."""
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    return {name for name in files if "matplotlib" not in name and "fontconfig" not in name}


@pytest.fixture
def result(private_run: Any) -> SimulationResult:
    assert private_run.ended.exit_code == 0, private_run.ended.output
    return SimulationResult.read(private_run.out / "result.json")


def test_numbers_agree_with_accounting(private_run: Any, result: SimulationResult) -> None:
    federation = load(private_run.cohort / FILE_NAME)
    assert [run.epsilon for run in result.privacy] == [8.0, 1.0]
    for run in result.privacy:
        proposed = Privacy(noise_multiplier=1, sampling_rate=1, expected_batch_size=20, steps=2, delta=0.05)
        assert run.epsilon is not None
        assert run.spent is not None
        expected = plan_noise(run.epsilon, federation.training.rounds, proposed)
        for name in (
            "delta",
            "noise_multiplier",
            "clip_norm",
            "sampling_rate",
            "steps",
            "learn",
            "statistics",
        ):
            assert getattr(run, name) == getattr(expected, name)
        cost = spend(planned_releases(expected, run.rounds), 0.05).epsilon
        assert run.spent == pytest.approx(cost)
        assert cost <= run.epsilon


def test_private_runs_are_scored_as_the_arms_are(result: SimulationResult) -> None:
    for run in result.privacy:
        for task, metrics in run.tasks.items():
            federated = result.tasks[task]["federated"]
            assert metrics.keys() == federated.keys()
            headline = result.outcomes[task].metric
            assert metrics[headline].groups.keys() == federated[headline].groups.keys()
            assert None not in metrics[headline].interval
            without, under = federated[headline].mean, metrics[headline].mean
            assert without is not None
            assert under is not None
            assert run.paired[task].difference == pytest.approx(without - under)
        assert run.tasks.keys() == result.tasks.keys()
    assert all(set(arms) == {"federated", "local", "pooled", "null"} for arms in result.tasks.values())


def test_nothing_but_weights_left_in_a_private_run(private_run: Any) -> None:
    for epsilon in ("8.0", "1.0"):
        text = (private_run.out / f"journal-epsilon-{epsilon}-fold0.jsonl").read_text()
        *records, run = [json.loads(line) for line in text.splitlines()]
        rounds = [record for record in records if record["record"] == "round"]
        assert [record["kind"] for record in rounds] == ["train", "train"]
        for record in rounds:
            assert (record["training_loss"], record["validation_loss"], record["concordance"]) == (
                None,
                None,
                {},
            )
            for site in record["sites"].values():
                assert site["metrics"] == {}
                assert set(site["patients"].values()) <= {0.0, 1.0}
        assert run["status"] == "completed"
        assert not any(any(counts.values()) for counts in run["withheld"].values())
    federated = (private_run.out / "journal-fold0.jsonl").read_text()
    assert '"training_loss":null' not in federated.splitlines()[1]


def test_the_answer_names_every_epsilon_and_what_it_cost(private_run: Any, result: SimulationResult) -> None:
    told = private_run.ended.stdout
    page = (private_run.out / "report.html").read_text()
    for run in result.privacy:
        assert run.name in told
        assert spent_text(run) in " ".join(told.split())
        assert run.name in page
    private = [line for line in told.splitlines() if "round 1/2" in line and ".000" not in line]
    assert any(re.search(r"round 1/2: 3/3", line) for line in private), "without losses none is spoken of"
    assert private_run.ended.stderr == ""
    assert '<div data-part="price">' in page
    assert 'id="privacy"' in page
    assert any("30 patients" in note for note in result.notes), "delta is weak"
    assert any(" 20," in note for note in result.notes), "the expected batch size is named"


def test_no_patient_is_in_what_a_private_run_prints_logs_or_writes(private_run: Any, canary: Any) -> None:
    assert canary.files_with_it(private_run.cohort)
    assert not canary.seen_in(private_run.ended.output)
    assert not canary.seen_in(private_run.log)
    assert not canary.files_with_it(private_run.out)


def test_the_hospitals_folders_and_the_home_are_left_as_they_were(private_run: Any) -> None:
    assert contents(private_run.cohort) == contents(private_run.before)
    assert left_in(private_run.home) == set()


@pytest.mark.usefixtures("networks_only", "no_report")
@pytest.mark.parametrize(
    "engine", ["processes", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]
)
def test_worker_processes_leave_the_home_alone_too(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, home: Path, engine: str
) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="the optional Ray engine is not installed")
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    before = contents(cohort)
    more = ("--federated-only",) if engine == "ray" else ()  # each run starts a Ray of its own
    ended = consilium(
        *(
            "simulate",
            cohort,
            "--fold",
            0,
            "--engine",
            engine,
            "--epsilon",
            2,
            *more,
            "--out",
            tmp_path / "out",
        )
    )
    assert ended.exit_code == 0, ended.output
    (run,) = SimulationResult.read(tmp_path / "out" / "result.json").privacy
    assert run.spent is not None
    assert 1 < run.spent <= 2
    assert contents(cohort) == before
    assert left_in(home) == set()
    assert "CONSILIUM_STATE" not in os.environ


@pytest.mark.usefixtures("networks_only", "no_report")
def test_the_federated_arm_is_the_same_with_and_without_private_runs_beside_it(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    asked = ("simulate", cohort, "--fold", 1, "--federated-only")
    weights = []
    for name, more in (("with", ("--epsilon", 4)), ("without", ())):
        ended = consilium(*asked, *more, "--out", tmp_path / name)
        assert ended.exit_code == 0, ended.output
        weights.append((tmp_path / name / WEIGHTS).read_bytes())
    assert weights[0] == weights[1]
    assert SimulationResult.read(tmp_path / "without" / "result.json").privacy == ()
    ended = consilium(*asked, "--out", tmp_path / "with", "--replace")
    assert [path.name for path in (tmp_path / "with").glob("journal*")] == ["journal-fold1.jsonl"]


@pytest.mark.usefixtures("networks_only", "no_report")
def test_a_hospitals_own_policy_and_approval_bind_no_simulation(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    digest = load(cohort / FILE_NAME).digest
    for site in find_sites(cohort):
        file = site / "site.toml"
        file.write_text(f'approved = "{digest}"\n{file.read_text()}\n[policy]\nmaximum_epsilon = 0.5\n')
    ended = consilium(
        "simulate", cohort, "--fold", 0, "--rounds", 2, "--epsilon", 3, "--out", tmp_path / "out"
    )
    assert ended.exit_code == 0, ended.output
    result = SimulationResult.read(tmp_path / "out" / "result.json")
    assert result.private_headline("survival", result.privacy[0]) is not None


def conduct(cohort: Path, work: Path) -> tuple[Experiment, list[FoldOutcome], SimulationResult]:
    plan = ExperimentPlan("small", cohort, find_sites(cohort), load(cohort / FILE_NAME), (0,), "serial", work)
    experiment = Experiment(plan, Nobody())
    outcomes = experiment.run()
    return experiment, outcomes, summarise_experiment(experiment, outcomes, 1.0)


@pytest.mark.usefixtures("networks_only")
def test_the_federation_files_own_privacy_holds_for_the_federated_arm_alone(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    save(with_privacy(load(cohort / FILE_NAME), OWN), cohort / FILE_NAME)
    before = contents(cohort)
    _, _, result = conduct(cohort, tmp_path / "work")
    assert contents(cohort) == before
    (run,) = result.privacy
    assert result.agreed == run
    assert (run.epsilon, run.steps, run.rounds, run.noise_multiplier) == (None, 2, 2, 3.0)
    assert run.spent == pytest.approx(spend(planned_releases(OWN, 2), 1e-3).epsilon)
    assert run.tasks == {"survival": result.tasks["survival"]["federated"]}
    assert run.paired == {}
    assert load(tmp_path / "work" / "federated" / FILE_NAME).privacy == OWN
    for arm in ("pooled", "alone-0", "alone-1", "alone-2"):
        assert load(tmp_path / "work" / arm / FILE_NAME).privacy is None
        (site,) = find_sites(tmp_path / "work" / arm / "sites-fold0")
        with Ledger(site) as ledger:
            assert ledger.releases() == [WITHOUT_PRIVACY]


@pytest.mark.usefixtures("networks_only")
def test_every_ledger_tells_of_one_run(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"])
    save(with_privacy(load(cohort / FILE_NAME), OWN), cohort / FILE_NAME)
    plan = ExperimentPlan(
        "small",
        cohort,
        find_sites(cohort),
        load(cohort / FILE_NAME),
        (0, 1),
        "serial",
        tmp_path / "work",
    )
    outcomes = Experiment(plan, Nobody()).run()
    once = [Release(mechanism="training", noise_multiplier=3.0, sampling_rate=0.5, steps=2)] * 2
    for fold in (0, 1):
        for site in find_sites(tmp_path / "work" / "federated" / f"sites-fold{fold}"):
            assert (site / LEDGER).is_file()
            with Ledger(site) as ledger:
                assert ledger.releases() == once
    assert {outcome.spent[None] for outcome in outcomes} == {spend(once, 1e-3).epsilon}


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--delta", 0.01), "--delta"),
        (("--epsilon", 0), "--epsilon 0"),
        (("--set", "privacy.steps=2"), "--set privacy.steps"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_no_file(
    consilium: Consilium,
    small_cohort: SmallCohort,
    tmp_path: Path,
    arguments: tuple[object, ...],
    where: str,
) -> None:
    ended = consilium("simulate", small_cohort(), *arguments, "--out", tmp_path / "out")
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"consilium: {where}: ")
    assert ended.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("networks_only")
def test_a_private_run_that_fails_leaves_the_others(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="3")

    def diverges(*_: object) -> None:
        raise RuntimeError("not finite")

    monkeypatch.setattr("client.rounds.train.train_privately", diverges)
    ended = consilium(
        "simulate", cohort, "--fold", 0, "--engine", "serial", "--epsilon", 2, "--out", tmp_path / "out"
    )
    assert ended.exit_code == 0, ended.output
    result = SimulationResult.read(tmp_path / "out" / "result.json")
    (run,) = result.privacy
    assert run.tasks == {}
    assert run.spent is not None
    assert run.spent > 0, "what was reserved counts"
    assert any("epsilon 2" in note for note in result.notes)
    assert result.tasks["survival"]["federated"]["c_index"].mean is not None
    assert 'data-statement="no-score"' in (tmp_path / "out" / "report.html").read_text()
