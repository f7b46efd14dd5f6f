"""Spread over seeds: runs that are repeated with another seed alone, and their table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.models.activity import Activity, BranchActivity
from simulations.benchmarks.figures import seeds
from simulations.benchmarks.figures.seeds import run_seeds, seeds_table
from simulations.experiment.options import Options
from simulations.results.schema import FoldActivity, SimulationResult

MakeResult = Callable[..., SimulationResult]


def test_a_run_per_seed_on_the_same_cohort_and_none_twice(
    make_result: MakeResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[tuple[int | None, int | None, bool]] = []

    def run(cohort: str, data: Path | None, options: Options, cohort_seed: int | None = None) -> None:
        ran.append((options.seed, cohort_seed, options.federated_only))
        assert isinstance(options.out, Path)
        options.out.mkdir(parents=True)
        make_result().model_copy(update={"seed": options.seed}).write(options.out / "result.json")

    monkeypatch.setattr(seeds, "run_cohort", run)
    assert [result.seed for result in run_seeds("lung", None, 2, None, tmp_path)] == [0, 1]
    assert [result.seed for result in run_seeds("lung", None, 3, None, tmp_path)] == [0, 1, 2]
    assert ran == [(seed, 0, True) for seed in range(3)]
    run_seeds("lung", None, 2, 1, tmp_path)
    assert len(ran) == 5  # fewer folds are other runs


def test_the_table_has_the_spread_and_the_smallest_share_of_active_units(make_result: MakeResult) -> None:
    (task,) = tasks = ("overall_survival",)
    results = []
    for mean, active in ((0.6, 1.0), (0.7, 0.75)):
        result = make_result(tasks=tasks, folds=1)
        federated = {"c_index": result.tasks[task]["federated"]["c_index"].model_copy(update={"mean": mean})}
        activity = Activity(branches={"rna": BranchActivity(active=active)}, network={task: mean})
        fold = result.folds[0].model_copy(update={"activity": FoldActivity(initial=activity, kept=activity)})
        results.append(
            result.model_copy(update={"tasks": {task: {"federated": federated}}, "folds": (fold,)})
        )
    row = seeds_table([results]).splitlines()[2]
    assert row.split(" | ")[2:] == ["2", "0.650", "0.071", "0.600", "0.700", "75.0%", "65.0% |"]


def test_a_model_without_parts_has_a_table_too(make_result: MakeResult) -> None:
    row = seeds_table([[make_result(tasks=("overall_survival",)), make_result(tasks=("overall_survival",))]])
    assert row.splitlines()[2].endswith("| \N{EM DASH} | \N{EM DASH} |")
