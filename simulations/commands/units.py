"""Command `consilium bench units`: wrong units that hospitals' sums give away."""

from functools import partial
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.json_output import JsonOption
from simulations.commands.arguments import DataFolder, FiguresFile
from simulations.commands.figures import show


@explained
@needs("simulate", "consilium bench units")
def units(
    cohorts: Annotated[
        list[str] | None,
        typer.Argument(help="Cohorts to compare; without any, all public ones and eicu."),
    ] = None,
    data: DataFolder = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of folds and of planted units.")] = 0,
    out: FiguresFile = None,
    as_json: JsonOption = False,
) -> None:
    """Plant wrong units in one hospital of three, and print how many are found and false alarms."""
    from simulations.benchmarks.units.bench import CHOSEN, JUDGED, run_units, units_table
    from simulations.cohorts.sources import default_data

    chosen, folder = cohorts or [*CHOSEN, *JUDGED], data or default_data()
    show(run_units(chosen, folder, seed, out, partial(typer.echo, err=True)), units_table, as_json)
