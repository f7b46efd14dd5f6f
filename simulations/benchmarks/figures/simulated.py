"""Simulation of a public cohort for a table of figures, its answer printed as it comes."""

from pathlib import Path

from rich.console import Console

from simulations.cohorts.cohort_folder import open_cohort
from simulations.engines.allocator import keep_freed_memory
from simulations.experiment.options import ExperimentOptions, Options
from simulations.report.screen.terminal import print_results
from simulations.simulate import simulate


def run_cohort(cohort: str, data: Path | None, options: Options, cohort_seed: int | None = None) -> None:
    """Simulate a cohort into the options' `out`, and print its tables.

    The cohort is written with `cohort_seed`, or without one with the options' seed.

    Raises:
        InputError: if the cohort is unknown or its data are not there.
    """
    keep_freed_memory()
    seed = (options.seed or 0) if cohort_seed is None else cohort_seed
    with open_cohort(cohort, data=data, seed=seed) as opened:
        named = ExperimentOptions.completed(options, options.command_line(cohort))
        print_results(simulate(opened, named).result, Console())
