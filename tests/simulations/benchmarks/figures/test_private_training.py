"""Means over draws of private training, with their intervals."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulations.benchmarks.figures import private_training
from simulations.benchmarks.figures.private_training import Case, mean_text, privacy_table, run_case
from simulations.experiment.options import Options
from simulations.results.schema import SimulationResult

MakeResult = Callable[..., SimulationResult]


def test_a_mean_has_students_interval_and_one_draw_has_none() -> None:
    # t(0.975, 3) = 3.182 times the standard deviation 0.0816 over the root of 4
    assert mean_text([0.5, 0.6, 0.7, 0.6]) == "0.600 (0.470 to 0.730)"
    assert mean_text([0.5]) == "0.500"


def test_as_many_draws_are_run_as_asked_and_the_table_counts_them(
    make_private: MakeResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def run(cohort: str, data: Path | None, options: Options) -> None:
        assert options.out is not None
        seeds.append(options.seed)
        folder = Path(options.out)
        folder.mkdir(parents=True)
        make_private(8.0).write(folder / "result.json")

    monkeypatch.setattr(private_training, "run_cohort", run)
    case = Case("made-up", (8.0,), 1e-3, "auroc")
    results = run_case(case, None, tmp_path, 3)
    assert seeds == [0, 1, 2]
    assert len(run_case(case, None, tmp_path, 3)) == 3
    assert len(seeds) == 3, "what is there is not run again"
    head, _, first, *_ = privacy_table([(case, results)]).splitlines()
    cells = [cell.strip() for cell in first.split("|")]
    assert cells[[cell.strip() for cell in head.split("|")].index("draws")] == "3"
