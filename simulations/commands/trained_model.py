"""Commands of `consilium bench` about a trained model: explain, intervals and warnings."""

from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.json_output import JsonOption
from simulations.commands.arguments import DataFolder, HeldOutFold, RunCohort, RunFolder
from simulations.commands.figures import show


@explained
@needs("simulate", "consilium bench explain")
@needs("explain", "consilium bench explain")
def explain(
    run: RunFolder,
    cohort: RunCohort,
    data: DataFolder = None,
    patients: Annotated[int, typer.Option(min=1, max=10_000, help="Number of patients at most.")] = 16,
    share: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0001,
            max=0.5,
            help="Share of a patient's values that are set to the mean; repeat it; without it, .01 and .05.",
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            metavar="RUN",
            help="Another run of the same federation file with another seed: the ensemble is explained. Repeat it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain patients by a trained model, and measure gap, time, faithfulness and agreement."""
    from simulations.benchmarks.explaining.bench import explain_table, run_explain

    runs = [run, *(others or [])]
    show(run_explain(runs, cohort, data, patients, share or [0.01, 0.05]), explain_table, as_json)


@explained
@needs("simulate", "consilium bench intervals")
def intervals(
    run: RunFolder,
    cohort: RunCohort,
    data: DataFolder = None,
    fold: HeldOutFold = 0,
    splits: Annotated[
        int, typer.Option(min=1, max=10_000, help="Random halves of the held-out patients.")
    ] = 200,
    horizon: Annotated[
        float | None,
        typer.Option(min=0, help="Time by which the risk is judged, in the unit of the outcome."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure coverage of intervals, and calibration before and after, on held-out patients."""
    from simulations.benchmarks.intervals.bench import intervals_table, run_intervals

    show(run_intervals(run, cohort, data, fold, splits, horizon), intervals_table, as_json)


@explained
@needs("simulate", "consilium bench warnings")
def warnings(
    run: RunFolder,
    cohort: RunCohort,
    fold: HeldOutFold = 0,
    data: DataFolder = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for warnings.json, and warnings.html with the curve.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Spoil tables of held-out patients, and measure what is found and what abstention gains."""
    from simulations.benchmarks.spoiling.bench import run_warnings, warnings_table, write_warnings

    figures = run_warnings(run, cohort, data, fold)
    if out is not None:
        write_warnings(figures, out)
    show(figures, warnings_table, as_json)
