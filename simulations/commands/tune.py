"""Command `consilium tune`: settings better than those of a federation file."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.json_output import JsonOption, print_json
from simulations.commands.arguments import DataFolder
from simulations.commands.options import parse_settings

FAILED, PARTIAL = 1, 3


tune_app = typer.Typer(add_completion=False)


@tune_app.command()
@explained
@needs("simulate", "consilium tune")
def tune(
    cohort: Annotated[
        str,
        typer.Argument(help="Cohort to search on: a name or a folder, as for `consilium simulate`."),
    ],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE,VALUE",
            help="Setting of the federation file and its values, such as training.learning_rate=0.001,0.003; "
            "repeat it for a grid of several.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write tune.json, the chosen federation file and the finished runs to; the same command "
            "goes on where it was."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting for the whole search, such as training.rounds=20; repeat it for several.",
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(min=0, help="Fold whose patients stay closed; without it, the first fold."),
    ] = None,
    inner_folds: Annotated[
        int, typer.Option(min=2, max=50, help="Number of inner folds of all other patients.")
    ] = 5,
    seeds: Annotated[
        int, typer.Option(min=1, max=50, help="Number of seeds, counted from training.seed.")
    ] = 3,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of settings, drawn at random out of the grid; without it, the whole grid."
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of runs after which the search pauses; without it, it goes on."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Minutes after which no further run begins; without it, there is no limit."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Task that judges; repeat it for several. Without it, the mean over all tasks."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Number of runs at the same time; without it, one per core."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device on which hospitals train: auto, cpu, cuda or cuda:N; without it, the device in site.toml."
        ),
    ] = None,
    data: DataFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Search for settings better than the file's own, without the patients of one fold."""
    from rich.console import Console

    from server.runs.coordination import RunFailed
    from simulations.cohorts.cohort_folder import open_cohort
    from simulations.engines.allocator import keep_freed_memory
    from simulations.tuning.grid import parse_over
    from simulations.tuning.options import TuningOptions
    from simulations.tuning.result import RESULT
    from simulations.tuning.table import print_tuning
    from simulations.tuning.tune import tune as search

    options = TuningOptions(
        over=parse_over(over),
        out=out,
        settings=parse_settings(settings or ()),
        fold=fold,
        inner_folds=inner_folds,
        seeds=seeds,
        budget=budget,
        runs=runs,
        minutes=minutes,
        tasks=tuple(task or ()),
        processes=processes,
        device=device,
    )
    keep_freed_memory()
    try:
        with open_cohort(cohort, data=data) as opened:
            result = search(opened, options, partial(typer.echo, err=True))
    except RunFailed as error:
        print(f"consilium: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    console = Console(stderr=as_json)
    if as_json:
        print_json(result)
    else:
        print_tuning(result, console)
    console.print(f"Written to {out}: {RESULT}", markup=False, highlight=False, soft_wrap=True)
    if not result.is_complete:
        raise typer.Exit(PARTIAL)
