"""Command `consilium simulate`: a simulation, its answer printed, and an exit code."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console

import consilium
from common.agreement.federation import FILE_NAME
from common.errors import OptionError
from common.json_output import print_json
from server.records.result import WEIGHTS
from server.runs.coordination import RunFailed
from simulations.cohorts.cohort_folder import open_cohort
from simulations.engines.allocator import keep_freed_memory
from simulations.experiment.options import ExperimentOptions, Options
from simulations.experiment.preparing import REPORT, RESULT, holds_result
from simulations.report.screen.terminal import print_results
from simulations.simulate import Simulated, resume
from simulations.simulate import simulate as run_experiment

FAILED, PARTIAL = 1, 3


def simulate(
    cohort: str,
    data: Path | None,
    hospitals: int | None,
    patients: int | None,
    options: Options,
    command: str | None = None,
    as_json: bool = False,
) -> int:
    """Simulate a cohort and print the answer; returns the exit code.

    Without a `command`, the result names the command that asks for the same.

    Raises:
        InputError: for anything the person can mend; nothing is written then.
    """
    keep_freed_memory()

    shown = replace(
        options, progress=not as_json, replace=options.replace or _may_replace(options.out, as_json)
    )
    asked = ExperimentOptions.completed(shown, command or options.command_line(cohort))

    def run() -> Simulated:
        with open_cohort(
            cohort, data=data, seed=options.seed or 0, hospitals=hospitals, patients=patients
        ) as opened:
            return run_experiment(opened, asked)

    return _shown(run, asked.out, as_json)


def _may_replace(out: Path | str | None, as_json: bool) -> bool:
    """Ask a person at a terminal whether an earlier result may be replaced."""
    if out is None or as_json or not sys.stdin.isatty() or not holds_result(Path(out)):
        return False
    return typer.confirm(f"{out} holds the result of a simulation. Replace it?", err=True)


def resume_simulation(out: Path, has_cohort: bool, options: Options, as_json: bool = False) -> int:
    """Go on with the simulation in a folder and print the answer; returns the exit code.

    Raises:
        InputError: for options that cannot change, or anything else the person can mend.
    """
    allowed = Options(rounds=options.rounds, engine=options.engine, device=options.device)
    if has_cohort or options != allowed:
        what = "goes on with the cohort and settings that it began with"
        raise OptionError(f"--resume {out}", what, "leave all but --rounds, --engine and --device out")
    keep_freed_memory()

    def run() -> Simulated:
        return resume(out, options.rounds, options.engine, options.device, progress=not as_json)

    return _shown(run, out, as_json)


def _shown(run: Callable[[], Simulated], out: Path | None, as_json: bool) -> int:
    """Print what a simulation comes to, as JSON the content of `result.json`; the exit code."""
    console = Console(stderr=as_json)
    try:
        result = consilium.Result(run().result)
    except RunFailed as error:
        print(f"consilium: {error}", file=sys.stderr)
        return FAILED
    if as_json:
        print_json(result.record)
    else:
        print_results(result.record, console)
    if out is not None:
        written = f"Written to {out}: {REPORT}, {RESULT}, {WEIGHTS}, {FILE_NAME}, journals"
        console.print(written, markup=False, highlight=False, soft_wrap=True)
    if result.is_complete:
        return 0
    print("consilium: some rounds had no quorum of hospitals and do not count.", file=sys.stderr)
    return PARTIAL
