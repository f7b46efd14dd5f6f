"""The figures of a whole run, against its tables and its journal."""

import json
from typing import Any

import pandas as pd
import pytest

from common.agreement.federation import FILE_NAME, load
from server.records.journal import RoundRecord, RunRecord
from simulations.cohorts.folders import find_sites
from simulations.experiment.summary import peak_memory_mb
from simulations.results.schema import SimulationResult


@pytest.fixture
def result(full_run: Any) -> SimulationResult:
    return SimulationResult.read(full_run.out / "result.json")


def test_hospitals_are_counted_as_in_their_tables(full_run: Any, result: SimulationResult) -> None:
    for site in find_sites(full_run.cohort):
        told = result.hospitals[site.name.replace("-", " ")]
        outcomes = pd.read_csv(site / "outcomes.csv")
        assert told.patients == len(outcomes) == 30
        assert told.events == {
            "survival": int(outcomes["died"].sum()),
            "response": int((outcomes["response"] == "yes").sum()),
            "toxicity": int((outcomes[["skin", "gut", "blood"]] > 0).any(axis=1).sum()),
        }
        for modality, patients in told.modalities.items():
            table = site / f"{modality}.csv"
            rows = pd.read_csv(table).drop(columns="patient") if table.is_file() else None
            assert patients == (0 if rows is None else int(rows.notna().any(axis=1).sum()))
    assert result.hospitals["hospital 2"].modalities["rna"] == 0


def test_outcomes_tell_what_is_predicted(result: SimulationResult) -> None:
    assert {name: (told.kind, told.metric) for name, told in result.outcomes.items()} == {
        "survival": ("survival", "c_index"),
        "response": ("response", "auroc"),
        "toxicity": ("toxicity", "auroc"),
    }
    assert result.outcomes["survival"].unit == "months"
    assert result.outcomes["response"].names == ("no", "yes")
    assert result.outcomes["toxicity"].names == ("skin", "gut", "blood")


def test_history_and_folds_are_the_journals(full_run: Any, result: SimulationResult) -> None:
    lines = (full_run.out / "journal-fold0.jsonl").read_text().splitlines()
    rounds = [
        RoundRecord.model_validate_json(line) for line in lines if json.loads(line)["record"] == "round"
    ]
    run = RunRecord.model_validate_json(lines[-1])
    (history,) = result.history
    assert [told.round for told in history] == [1, 2, 3]
    assert [told.validation_loss for told in history] == [record.validation_loss for record in rounds]
    assert [told.scores for told in history] == [record.concordance for record in rounds]
    (fold,) = result.folds
    assert (fold.status, fold.rounds, fold.best_round) == ("completed", 2, run.best_round)
    seconds = [record.seconds for record in rounds if record.kind == "train"]
    assert fold.seconds_per_round == pytest.approx(sum(seconds) / len(seconds))


def test_each_hospital_stands_beside_models_all_share(result: SimulationResult) -> None:
    for task, sites in result.sites.items():
        assert {told.federated for told in sites.values()} == {result.headline(task, "federated").mean}  # type: ignore[union-attr]
        assert {told.pooled for told in sites.values()} == {result.headline(task, "pooled").mean}  # type: ignore[union-attr]
        local = [told.local for told in sites.values() if told.local is not None]
        assert len(local) == 3
        assert result.headline(task, "local").mean == pytest.approx(sum(local) / 3)  # type: ignore[union-attr]
        assert all(0 < told.labelled <= told.patients == 30 for told in sites.values())


def test_differences_are_federated_minus_the_arm(result: SimulationResult) -> None:
    for task, arms in result.paired.items():
        federated = result.headline(task, "federated")
        for arm, told in arms.items():
            other = result.headline(task, arm)
            assert told.difference == pytest.approx(federated.mean - other.mean)  # type: ignore[union-attr,operator]
            assert told.low <= told.high  # type: ignore[operator]


def test_what_a_hospital_withheld_is_told_where_it_withheld_anything(
    full_run: Any, result: SimulationResult
) -> None:
    federation = load(full_run.cohort / FILE_NAME)
    nodes = len(federation.modality("rna").nodes)
    assert result.withheld["hospital 2"]["modality:rna"] == nodes
    assert all(count > 0 for counts in result.withheld.values() for count in counts.values())


def test_peak_memory_is_that_of_a_process_with_torch() -> None:
    assert 100 < peak_memory_mb() < 100_000


def test_every_fold_and_every_journal_has_the_activity_of_the_models_parts(
    full_run: Any, result: SimulationResult
) -> None:
    (fold,) = result.folds
    assert fold.activity is not None
    federation = load(full_run.cohort / FILE_NAME)
    last = (full_run.out / "journal-fold0.jsonl").read_text().splitlines()[-1]
    journal = RunRecord.model_validate_json(last).activity
    assert journal is not None
    for activity in (fold.activity.initial, fold.activity.kept, journal):
        assert list(activity.branches) == [modality.name for modality in federation.modalities]
        assert all(branch.active is not None for branch in activity.branches.values())
        assert all(branch.gradient for branch in activity.branches.values())
        assert set(activity.network) == set(result.tasks)
        assert set(activity.gradients) == {"fusion", "heads"}
    assert set(fold.activity.initial.network.values()) == {None}  # nothing is predicted yet
    assert all(share is not None and 0 <= share <= 1 for share in fold.activity.kept.network.values())
