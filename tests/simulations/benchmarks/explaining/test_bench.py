"""Explanations of a run are judged on a cohort, task by task."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result as Ended

from common.agreement.federation import FILE_NAME, load
from common.families.patients import FAMILY
from common.patients.preprocessing import pack_preprocessing
from server.records.result import TrainedModel, save_result
from simulations.benchmarks.explaining.bench import run_explain


@pytest.fixture
def run(written_cohort: Path, tmp_path: Path) -> Path:
    """A run whose weights were drawn."""
    folder = tmp_path / "run"
    shutil.copytree(written_cohort, folder, ignore=shutil.ignore_patterns("hospital-*"))
    federation = load(folder / FILE_NAME)
    model = FAMILY.model(federation, FAMILY.public(federation, folder), 0)
    draw = torch.Generator().manual_seed(0)
    weights = {
        name: (tensor + 0.3 * torch.randn(tensor.shape, generator=draw)).numpy()
        for name, tensor in model.state_dict().items()
    }
    save_result(folder, TrainedModel(weights, dict(pack_preprocessing(FAMILY.declared(federation)))))
    return folder


def test_every_task_is_judged_by_gap_deletion_and_a_shuffled_network(run: Path, written_cohort: Path) -> None:
    judged = run_explain(run, str(written_cohort), None, patients=4, share=0.1)
    assert [figures.task for figures in judged] == [task.name for task in load(run / FILE_NAME).tasks]
    for figures in judged:
        assert figures.patients == 4
        assert 0 <= figures.gap <= figures.gap_95
        assert figures.converged > 0.5
        assert figures.deletion["contributions"] > abs(figures.deletion["random"])
        assert -1 <= figures.signed <= 1
        assert math.isfinite(figures.unsigned)


def test_the_command_prints_a_row_for_every_task(
    consilium: Callable[..., Ended], run: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "explain", run, written_cohort, "--patients", "1")
    assert ended.exit_code == 0
    assert all(f"| {task.name} | 1 |" in ended.output for task in load(run / FILE_NAME).tasks)


def test_a_folder_without_a_run_is_refused_in_one_sentence(
    consilium: Callable[..., Ended], tmp_path: Path, written_cohort: Path
) -> None:
    ended = consilium("bench", "explain", tmp_path, written_cohort)
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
