"""Command `consilium simulate`: the call from Python, its answer printed, and an exit code."""

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import consilium
from common.agreement.federation import FILE_NAME
from server.records.result import WEIGHTS
from simulations.engines.allocator import keep_freed_memory
from simulations.experiment.options import Options
from simulations.experiment.preparing import REPORT, RESULT
from simulations.report.terminal import print_results

FAILED, PARTIAL = 1, 3


def simulate(
    cohort: str, data: Path | None, hospitals: int | None, patients: int | None, options: Options
) -> int:
    """Simulate a cohort and print the answer; returns the exit code.

    Raises:
        InputError: for anything the person can mend; nothing is written then.
    """
    keep_freed_memory()
    console = Console()
    try:
        with consilium.cohort(
            cohort, data=data, seed=options.seed or 0, hospitals=hospitals, patients=patients
        ) as opened:
            result = consilium.simulate(opened, **vars(replace(options, progress=True)))
    except consilium.RunFailed as error:
        print(f"consilium: {error}", file=sys.stderr)
        return FAILED
    print_results(result.record, console)
    if options.out is not None:
        written = f"Written to {options.out}: {REPORT}, {RESULT}, {WEIGHTS}, {FILE_NAME}, journals"
        console.print(written, markup=False, highlight=False, soft_wrap=True)
    if result.is_complete:
        return 0
    print("consilium: some rounds had no quorum of hospitals and do not count.", file=sys.stderr)
    return PARTIAL
