"""Benchmark `seeds`: spread of the headline metric over seeds, on the same folds."""

from collections.abc import Sequence
from pathlib import Path

from simulations.benchmarks.figures.simulated import run_cohort
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.experiment.options import Options
from simulations.results.metrics import metric_name
from simulations.results.schema import MISSING, SimulationResult, summarise


def run_seeds(
    cohort: str, data: Path | None, seeds: int, folds: int | None, out: Path
) -> list[SimulationResult]:
    """Simulate the federated arm of a cohort with seeds from 0.

    A result that is already in `out` is not run again.
    The cohort is written with seed 0: its hospitals and folds stay, first weights and random draws differ.

    Raises:
        InputError: if the cohort is unknown or its data are not there.
    """
    results = []
    for seed in range(seeds):
        folder = out / f"{cohort}-{'all' if folds is None else folds}" / f"seed{seed}"
        if not (folder / "result.json").is_file():
            options = Options(folds=folds, seed=seed, federated_only=True, out=folder, progress=True)
            run_cohort(cohort, data, options, cohort_seed=0)
        results.append(SimulationResult.read(folder / "result.json"))
    return results


def seeds_table(results: Sequence[Sequence[SimulationResult]]) -> str:
    """Write a Markdown table of every task's metric over seeds, and of the network's activity.

    Args:
        results: cohort by cohort, the results of all seeds.
    """
    head = [
        "cohort",
        "metric",
        "seeds",
        "mean",
        "sd",
        "lowest",
        "highest",
        "active at start",
        "risk by network",
    ]
    rows = [head]
    for of_cohort in results:
        first = of_cohort[0]
        for task, outcome in first.outcomes.items():
            means = [summary.mean for result in of_cohort if (summary := result.headline(task, "federated"))]
            spread, defined = summarise(means), [mean for mean in means if mean is not None]
            rows.append(
                [
                    first.cohort if len(first.outcomes) == 1 else f"{first.cohort}, {task}",
                    metric_name(outcome.metric),
                    str(len(of_cohort)),
                    *(_figure(figure) for figure in (spread.mean, spread.sd)),
                    *(_figure(of(defined, default=None)) for of in (min, max)),
                    _share(min(_active_at_start(of_cohort), default=None)),
                    _share(summarise(_by_network(of_cohort, task)).mean),
                ]
            )
    conditions = origin(results[0][0].machine, max(result.date for some in results for result in some))
    return (
        f"{markdown('ll' + 'r' * (len(head) - 2), rows)}\n\n"
        "Mean over folds of every seed, and mean, sd and ends over seeds; smallest share of a branch's units that "
        "is active at the first weights; share of the risk's variance that comes from the network, mean over seeds "
        f"and folds. {conditions}."
    )


def _active_at_start(results: Sequence[SimulationResult]) -> list[float]:
    """List the shares of active units of all branches, folds and seeds at the first weights."""
    return [
        branch.active
        for result in results
        for fold in result.folds
        if fold.activity is not None
        for branch in fold.activity.initial.branches.values()
        if branch.active is not None
    ]


def _by_network(results: Sequence[SimulationResult], task: str) -> list[float | None]:
    """List the network's share of the risk of all folds and seeds at the kept weights."""
    return [
        fold.activity.kept.network.get(task)
        for result in results
        for fold in result.folds
        if fold.activity is not None
    ]


def _figure(figure: float | None) -> str:
    return MISSING if figure is None else f"{figure:.3f}"


def _share(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}%"
