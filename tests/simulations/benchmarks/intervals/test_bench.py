"""Intervals and calibration of a run are judged on a cohort, task by task."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended

from simulations.benchmarks.intervals.bench import run_intervals
from tests.simulations.benchmarks.drawn_run import drawn_run


@pytest.fixture
def run(written_cohort: Path, tmp_path: Path) -> Path:
    return drawn_run(written_cohort, tmp_path / "run", 0.1)


def test_methods_are_judged_beside_each_other_and_calibration_says_its_events(
    run: Path, written_cohort: Path
) -> None:
    covered, levels = run_intervals(run, str(written_cohort), None, 0, 2, 12.0)
    assert {task for task, _ in covered} == {"survival", "response"}
    methods = {figures.method for task, figures in covered if task == "survival"}
    assert {"the model's own", "censored dropped", "censoring taken for events"} < methods
    own = [figures for _, figures in covered if figures.method == "the model's own"]
    assert all(0 <= figures.held <= 1 and figures.splits == 2 for figures in own)
    assert [figures.task for figures in levels] == ["survival", "response"]
    for figures in levels:
        assert "30 are needed" in figures.fitted
        assert figures.ratio[0] == pytest.approx(figures.ratio[1])
        assert figures.brier[0] == pytest.approx(figures.brier[1])
        assert figures.null > 0


def test_the_command_prints_both_tables(
    consilium: Callable[..., Ended], run: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "intervals", run, written_cohort, "--splits", "1")
    assert ended.exit_code == 0
    assert "| survival | the model's own | 80% |" in ended.output
    assert "| O/E before |" in ended.output


def test_a_fold_that_nobody_is_in_is_refused_in_one_sentence(
    consilium: Callable[..., Ended], run: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "intervals", run, written_cohort, "--fold", "77")
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
    assert "77" in ended.stderr
