"""Explanations of a run are judged on a cohort, task by task."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended
from safetensors.numpy import load_file, save_file

from common.agreement.federation import FILE_NAME, load, save
from common.errors import OptionError
from server.records.result import WEIGHTS
from simulations.benchmarks.explaining.bench import run_explain
from tests.simulations.benchmarks.drawn_run import drawn_run


@pytest.fixture
def run(written_cohort: Path, tmp_path: Path) -> Path:
    return drawn_run(written_cohort, tmp_path / "run", 0.3)


def seeded(run: Path, seed: int) -> Path:
    """The same run with another seed and slightly other weights."""
    folder = run.with_name(f"seed{seed}")
    shutil.copytree(run, folder)
    save(load(run / FILE_NAME).changed({"training.seed": str(seed)}), folder / FILE_NAME)
    weights = load_file(run / WEIGHTS)
    save_file({name: array * (1 + 0.1 * seed) for name, array in weights.items()}, folder / WEIGHTS)
    return folder


def test_every_task_is_judged_by_gap_deletion_and_a_shuffled_network(run: Path, written_cohort: Path) -> None:
    judged = run_explain([run], str(written_cohort), None, patients=4, shares=[0.1])
    assert [task.task for task in judged] == [task.name for task in load(run / FILE_NAME).tasks]
    for task in judged:
        figures = task.figures
        assert (task.patients, task.trainings) == (4, 1)
        assert 0 <= figures["gap, median"] <= figures["gap, 95% of patients"]
        assert figures["converged"] > 0.5
        random = abs(figures["0.1 of values deleted by random"])
        assert figures["0.1 of values deleted by contributions"] > random
        assert -1 <= figures["signed agreement with a shuffled network"] <= 1
        assert math.isfinite(figures["the same of sizes"])
        assert "explanations that say UNSTABLE" not in figures


def test_an_ensemble_is_judged_by_its_agreement_too(run: Path, written_cohort: Path) -> None:
    runs = [run, seeded(run, 1), seeded(run, 2)]
    for task in run_explain(runs, str(written_cohort), None, patients=2, shares=[0.1]):
        assert task.trainings == 3
        shared = task.figures["a patient's top values in common over trainings"]
        assert 0 <= shared <= 1
        assert 0 <= task.figures["explanations that say UNSTABLE"] <= 1
    with pytest.raises(OptionError):
        run_explain(runs[:2], str(written_cohort), None, patients=2, shares=[0.1])


def test_the_command_prints_a_column_for_every_task(
    consilium: Callable[..., Ended], run: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "explain", run, written_cohort, "--patients", "1", "--share", "0.2")
    assert ended.exit_code == 0
    names = " | ".join(task.name for task in load(run / FILE_NAME).tasks)
    assert f"| measure | {names} | aim |" in ended.output
    assert "| 0.2 of values deleted by contributions |" in ended.output


def test_a_folder_without_a_run_is_refused_in_one_sentence(
    consilium: Callable[..., Ended], tmp_path: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "explain", tmp_path, written_cohort)
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
