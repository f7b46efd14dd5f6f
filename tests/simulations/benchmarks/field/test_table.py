import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended

from simulations.benchmarks.field.figures import FieldTable
from simulations.benchmarks.field.rows import ABLATIONS, OURS, ROWS

Consilium = Callable[..., Ended]
SmallCohort = Callable[..., Path]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.benchmarks.field.cohort_runs.available_cores", lambda: 1)


def test_every_row_is_printed_with_its_difference_to_ours(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort, out = small_cohort(training__linear_rounds="1"), tmp_path / "out"
    asked = ("bench", "table", "--cohorts", cohort, "--seeds", 1, "--folds", 1, "--out", out)
    ended = consilium(*asked)
    assert ended.exit_code == 0, ended.output
    table = FieldTable.model_validate_json((out / "table.json").read_bytes())
    summary = table.cohorts["cohort"]
    assert list(summary.rows) == [row.name for row in ROWS]
    assert not summary.left_out
    for task in summary.headlines:
        assert summary.rows[OURS].paired[task].difference == 0
    survival = {name: row.metrics["survival"] for name, row in summary.rows.items()}
    assert survival["null"]["c_index"].mean == 0.5
    assert survival["null"]["integrated_brier"].mean is not None
    for row in ROWS:
        assert ended.stdout.count(f"| {row.title} |") == len(summary.headlines)
    again = consilium(*asked)
    assert (
        json.loads((out / "table.json").read_text())["cohorts"]
        == json.loads(table.model_dump_json())["cohorts"]
    )
    assert "of" not in again.stderr


def test_ablations_use_the_runs_of_the_table(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort, out = small_cohort(tasks=["response"], training__rounds="1"), tmp_path / "out"
    ended = consilium(
        *("bench", "table", "--ablations", "--cohorts", cohort, "--seeds", 1, "--folds", 1, "--out", out)
    )
    assert ended.exit_code == 0, ended.output
    summary = FieldTable.model_validate_json((out / "ablations.json").read_bytes()).cohorts["cohort"]
    assert set(summary.rows) == {row.name for row in ABLATIONS} - {"single-task"}
    assert len(summary.left_out) == 1
    assert next(iter(summary.left_out)) in ended.stdout


def test_an_unknown_cohort_is_one_sentence(consilium: Consilium, tmp_path: Path) -> None:
    ended = consilium("bench", "table", "--cohorts", "nowhere", "--out", tmp_path / "out")
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
