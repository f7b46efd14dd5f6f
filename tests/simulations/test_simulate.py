"""`consilium simulate` from the command line to its files."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result as Ended
from safetensors.torch import load_file

from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import FILE_NAME, load
from common.errors import REFUSALS, RefusalCode
from common.models.registry import build_model
from consilium.model import load_model
from server.records.result import WEIGHTS
from simulations.results.schema import ARM_NAMES, SimulationResult
from tests.simulations.cohort_files import contents, without_folds

SmallCohort = Callable[..., Path]
Consilium = Callable[..., Ended]

NETWORKS = {"federated", "local", "local_linear", "pooled"}
CLASSICAL = {"logistic", "forest", "mlp", "null"}
METRICS = {
    "survival": {"c_index", "integrated_brier"},
    "response": {"auroc", "auprc", "accuracy", "precision", "recall", "f1"},
    "toxicity": {"auroc", "auprc"},
}


def figures(out: Path) -> dict[str, Any]:
    """A result without what differs from run to run."""
    told: dict[str, Any] = json.loads((out / "result.json").read_text())
    for key in ("date", "seconds", "peak_memory_mb", "command"):
        del told[key]
    for fold in told["folds"]:
        del fold["seconds_per_round"]
    return told


def test_every_arm_of_every_task_is_in_the_result(full_run: Any) -> None:
    assert full_run.ended.exit_code == 0, full_run.ended.output
    told = json.loads((full_run.out / "result.json").read_text())
    survival = {"cox", "mlp", "null"} | ({"forest"} if find_spec("sksurv") else set())
    expected = {
        "survival": NETWORKS | survival,
        "response": NETWORKS | CLASSICAL,
        "toxicity": NETWORKS | CLASSICAL,
    }
    assert {task: set(arms) for task, arms in told["tasks"].items()} == expected
    for task, arms in told["tasks"].items():
        for arm, metrics in arms.items():
            assert set(metrics) == METRICS[task]
            for metric, summary in metrics.items():
                assert set(summary) == {"mean", "sd", "per_fold", "groups", "interval"}
                assert summary["per_fold"] == [summary["mean"]]
                undefined = (arm, metric) == ("null", "precision")  # it predicts the commoner class alone
                assert undefined or 0 <= summary["mean"] <= 1
                assert summary["sd"] is None
                assert set(summary["groups"]) <= {f"hospital {number}" for number in (1, 2, 3)}
        assert set(told["paired"][task]) == set(arms) - {"federated"}
    assert (told["seed"], told["engine"], told["cohort"]) == (3, "serial", "cohort")


def test_the_files_of_a_run_belong_together(full_run: Any) -> None:
    assert {path.name for path in full_run.out.iterdir()} == {
        "assessment",
        "models",
        "result.json",
        "report.html",
        WEIGHTS,
        "preprocessing.safetensors",
        FILE_NAME,
        "prior",
        "checkpoint",
        "journal-fold0.jsonl",
    }
    federation = load(full_run.out / FILE_NAME)
    result = SimulationResult.read(full_run.out / "result.json")
    assert federation.digest == result.federation.digest
    assert federation == load(full_run.cohort / FILE_NAME).changed({"training.seed": str(result.seed)})
    model = build_model(federation, full_run.out, seed=0)
    model.load_state_dict(load_file(full_run.out / WEIGHTS))
    journal = [json.loads(line) for line in (full_run.out / "journal-fold0.jsonl").read_text().splitlines()]
    assert journal[-1]["status"] == "completed"
    assert journal[-1]["digest"] == federation.digest
    assert "<html" in (full_run.out / "report.html").read_text()


def test_a_run_prints_its_answer_and_nothing_to_worry_about(full_run: Any) -> None:
    told = full_run.ended
    assert told.stderr == ""
    for text in ("survival, ", "held-out patients", ARM_NAMES["cox"], "hospital 3", "Written to"):
        assert text in told.stdout
    assert "Warning" not in told.output


def test_no_patient_is_in_what_a_run_prints_logs_or_writes(full_run: Any, canary: Any) -> None:
    assert set(canary.files_with_it(full_run.cohort)) == {
        path.name for path in (full_run.cohort / "hospital-1").glob("*.csv")
    }
    assert not canary.seen_in(full_run.ended.output)
    assert not canary.seen_in(full_run.log)
    assert not canary.files_with_it(full_run.out)


def test_the_cohort_is_left_as_it_was(full_run: Any) -> None:
    assert contents(full_run.cohort) == contents(full_run.before)


@pytest.mark.usefixtures("networks_only", "no_report")
def test_the_same_seed_gives_the_same_figures_and_weights_again_on_another_engine(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort(tasks=["survival"])
    monkeypatch.setattr(
        "simulations.engines.in_process.available_cores", lambda: 1
    )  # a process takes seconds to start
    told = []
    for engine in ("serial", "processes"):
        asked = ("simulate", cohort, "--fold", 1, "--federated-only", "--engine", engine)
        ended = consilium(*asked, "--out", tmp_path / engine)
        assert ended.exit_code == 0, ended.output
        told.append(figures(tmp_path / engine))
        assert told[-1].pop("engine") == engine
    assert told[0] == told[1]
    serial, processes = ((tmp_path / engine / WEIGHTS).read_bytes() for engine in ("serial", "processes"))
    assert serial == processes


@pytest.mark.usefixtures("networks_only")
def test_the_federated_arm_alone_is_the_same_as_beside_others_and_the_rest_is_not_there(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(training__linear_rounds="1")
    told = {}
    for name, option in (("all", []), ("alone", ["--federated-only"])):
        ended = consilium(
            "simulate", cohort, "--fold", 1, "--engine", "serial", *option, "--out", tmp_path / name
        )
        assert ended.exit_code == 0, ended.output
        told[name] = figures(tmp_path / name)
    assert (tmp_path / "all" / WEIGHTS).read_bytes() == (tmp_path / "alone" / WEIGHTS).read_bytes()
    for task, arms in told["alone"]["tasks"].items():
        assert set(arms) == {"federated", "federated_linear", "null"}
        assert arms.items() <= told["all"]["tasks"][task].items()
        assert len(told["all"]["tasks"][task]) > 3
    assert told["alone"]["sites"] == {}
    assert all(set(paired) == {"federated_linear", "null"} for paired in told["alone"]["paired"].values())
    for same in ("hospitals", "history", "withheld", "folds"):
        assert told["alone"][same] == told["all"][same]
    notes = told["alone"]["notes"]
    assert len(notes) == 2, "what was left out, and the linear rounds"
    page = (tmp_path / "alone" / "report.html").read_text()
    assert all(note in page for note in notes)
    for text in ended.stdout, page:
        assert ARM_NAMES["pooled"] not in text
        assert ARM_NAMES["local"] not in text
    assert not {"local", "pooled", "baseline"} & set(re.findall(r'data-statement="([^"]+)"', page))


@pytest.mark.usefixtures("no_report")
def test_a_synthetic_cohort_has_as_many_hospitals_and_patients_as_asked_for(
    consilium: Consilium, tmp_path: Path
) -> None:
    ended = consilium(
        *("simulate", "synthetic", "--hospitals", 4, "--patients", 20, "--federated-only"),
        *("--fold", 0, "--rounds", 1, "--out", tmp_path / "out"),
    )
    assert ended.exit_code == 0, ended.output
    hospitals = SimulationResult.read(tmp_path / "out" / "result.json").hospitals
    assert [each.patients for each in hospitals.values()] == [20] * 4


@pytest.mark.usefixtures("networks_only", "no_report")
def test_another_seed_gives_other_figures(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    for name, seed in (("one", 3), ("other", 4)):
        ended = consilium(
            "simulate", cohort, "--fold", 1, "--seed", seed, "--federated-only", "--out", tmp_path / name
        )
        assert ended.exit_code == 0, ended.output
    one, other = (figures(tmp_path / name)["tasks"] for name in ("one", "other"))
    assert one != other


@pytest.mark.usefixtures("networks_only", "no_report")
def test_settings_folds_and_an_older_result_in_the_way(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort, out = small_cohort(tasks=["survival"]), tmp_path / "new" / "out"
    out.mkdir(parents=True)
    (out / "journal-fold4.jsonl").write_text("from an earlier run")
    (out / "notes.txt").write_text("mine")
    ended = consilium(
        *(
            "simulate",
            cohort,
            "--folds",
            2,
            "--rounds",
            1,
            "--set",
            "training.learning_rate=0.02",
            "--federated-only",
            "--out",
            out,
        )
    )
    assert ended.exit_code == 0, ended.output
    federation = load(out / FILE_NAME)
    assert (federation.training.rounds, federation.training.learning_rate) == (1, 0.02)
    assert federation.digest == SimulationResult.read(out / "result.json").federation.digest
    assert {path.name for path in out.glob("*.jsonl")} == {"journal-fold0.jsonl", "journal-fold1.jsonl"}
    assert (out / "notes.txt").read_text() == "mine"
    told = json.loads((out / "result.json").read_text())
    summary = told["tasks"]["survival"]["federated"]["c_index"]
    assert summary["mean"] == pytest.approx(sum(summary["per_fold"]) / 2)
    assert summary["sd"] is not None
    assert [fold["rounds"] for fold in told["folds"]] == [1, 1]
    assert [len(rounds) for rounds in told["history"]] == [2, 2]


@pytest.mark.usefixtures("networks_only", "no_report")
def test_a_cohort_without_folds_gets_some_and_is_not_touched(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    without_folds(cohort)
    before = contents(cohort)
    ended = consilium("simulate", cohort, "--folds", 1, "--federated-only", "--out", tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    assert contents(cohort) == before
    assert "fold 1 of 1" in ended.stdout
    refused = consilium("simulate", cohort, "--folds", 6)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("consilium: --folds 6: ")
    assert "5 folds" in refused.stderr


@pytest.mark.usefixtures("networks_only", "no_report")
def test_hospitals_that_approved_the_federation_still_train_alone(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    digest = load(cohort / FILE_NAME).digest
    for site in cohort.glob(f"*/{SITE_FILE}"):
        site.write_text(f'approved = "{digest}"\n' + site.read_text())
    ended = consilium("simulate", cohort, "--fold", 0, "--out", tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    told = figures(tmp_path / "out")
    assert all(site["local"] is not None for site in told["sites"]["survival"].values())
    assert not any("hospital " in note for note in told["notes"]), "none is left out"


def test_the_real_command_prints_no_warning_and_prefers_a_known_name_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lung").mkdir()
    for name in (FILE_NAME, "result.json"):
        (tmp_path / "lung" / name).write_text("an earlier result")
    command = """
from consilium.command import main
from simulations.baselines import survival
survival.PENALTIES, survival.FOLDS, survival.TREES = (0.03, 1.0), 2, 20  # of a model for every hospital
main()
"""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            command,
            "simulate",
            "--fold",
            "0",
            "--rounds",
            "1",
            "--out",
            "lung",
            "--replace",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert ended.stderr == ""
    assert "Warning" not in ended.stdout
    assert figures(tmp_path / "lung")["cohort"] == "lung"
    assert len(figures(tmp_path / "lung")["hospitals"]) == 10


def test_a_federation_that_cannot_be_trained_ends_with_1_and_writes_nothing(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    for site in ("hospital-1", "hospital-2"):
        outcomes = pd.read_csv(cohort / site / "outcomes.csv", dtype=str)
        outcomes.assign(fold="0").to_csv(cohort / site / "outcomes.csv", index=False)
    ended = consilium("simulate", cohort, "--fold", 0, "--out", tmp_path / "out")
    assert ended.exit_code == 1
    first, why = ended.stderr.splitlines()
    assert re.findall(r"\d", first)[:3] == ["1", "3", "2"]
    assert all(fact in why for fact in ("hospital 1", "hospital 2"))
    assert REFUSALS[RefusalCode.NO_TRAINING_PATIENTS] in why
    assert "hospital 3" not in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("networks_only", "no_report")
def test_models_of_all_folds_and_of_all_patients_are_kept_and_a_result_is_not_written_over(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, out = small_cohort(tasks=["survival"], training__rounds="1"), tmp_path / "out"
    asked = ("simulate", cohort, "--folds", 2, "--federated-only", "--engine", "serial", "--out", out)
    assert consilium(*asked, "--epsilon", 9, "--delta", 0.05, "--final").exit_code == 0
    kept = {path.name for path in (out / "models").iterdir()}
    assert kept == {f"{arm}-fold{fold}" for arm in ("federated", "epsilon-9.0") for fold in (0, 1)}
    last = (out / "models" / "federated-fold1" / "weights.safetensors").read_bytes()
    assert last == (out / "weights.safetensors").read_bytes()
    whole = load_model(out / "final")
    assert list(whole.federation.task_names) == ["survival"]
    (run,) = [record for record in read_records(out / "journal-final.jsonl") if record["record"] == "run"][
        -1:
    ]
    assert (run["status"], run["fold"]) == ("completed", -1)
    before = contents(out)
    refused = consilium(*asked)
    assert refused.exit_code == 2
    assert "--replace" in refused.stderr
    assert contents(out) == before
    monkeypatch.setattr("simulations.commands.simulate._may_replace", lambda *_: True)
    assert consilium(*asked).exit_code == 0
    assert {path.name for path in (out / "models").iterdir()} == {"federated-fold0", "federated-fold1"}
    assert not (out / "final").exists()
    assert not (out / "journal-final.jsonl").exists()


def read_records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
