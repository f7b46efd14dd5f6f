"""Commands `consilium simulate` and `consilium cohort`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.console import BAD_INPUT, explained
from common.errors import OptionError
from common.extras import needs
from common.json_output import JsonOption
from simulations.cohorts.sources import cohort_sources
from simulations.commands.arguments import DataFolder
from simulations.commands.options import with_options
from simulations.experiment.options import Options

simulate_app = typer.Typer(add_completion=False)


cohort_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Check a hospital's cohort as the federation reads it.",
)


@cohort_app.callback()
def _cohort() -> None:
    """Commands about the cohort of a hospital."""


@simulate_app.command()
@explained
@needs("simulate", "consilium simulate")
@with_options
def simulate(
    options: Options,
    cohort: Annotated[
        str,
        typer.Argument(
            help=f"Cohort to simulate: {', '.join(source.name for source in cohort_sources())}, or a folder that "
            "holds federation.toml and one site folder per hospital. Write ./NAME for a folder that is called "
            "like a cohort."
        ),
    ] = "lung",
    data: DataFolder = None,
    hospitals: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="Number of hospitals, for the cohort synthetic only; without it, 6."
        ),
    ] = None,
    patients: Annotated[
        int | None,
        typer.Option(
            min=2, help="Number of patients in a hospital, for the cohort synthetic only; without it, 60."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Folder of an interrupted simulation to continue, or of a finished one to continue with more "
            "--rounds. Beside it, only --engine and --device may be given.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Number of seeds, from that of --seed on: a folder each in that of --out, and their spread. Given "
            "again, the command goes on where it was interrupted.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare federated training with single hospitals, pooled data and classical models."""
    from simulations.commands.simulate import resume_simulation, simulate

    if seeds is not None:
        from simulations.commands.seeds import simulate_seeds

        if resume is not None:
            raise OptionError("--seeds and --resume", "exclude each other", "give the first command again")
        if (code := simulate_seeds(seeds, cohort, data, hospitals, patients, options, as_json)) != 0:
            raise typer.Exit(code)
        return
    if resume is not None:
        asked = (cohort, data, hospitals, patients)
        if (code := resume_simulation(resume, asked != ("lung", None, None, None), options, as_json)) != 0:
            raise typer.Exit(code)
        return
    command = shlex.join(["consilium", *sys.argv[1:]])
    if (code := simulate(cohort, data, hospitals, patients, options, command, as_json)) != 0:
        raise typer.Exit(code)


@cohort_app.command()
@explained
def describe(
    folder: Annotated[Path, typer.Argument(help="Site folder, or folder that holds several site folders.")],
    federation: Annotated[
        Path | None,
        typer.Option(help="Federation file; without it, the federation.toml in FOLDER or in its parent."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print patient counts, coverage, missing cells and problems of a cohort, and no values."""
    from simulations.commands.describe import describe

    if not describe(folder, federation, as_json):
        raise typer.Exit(BAD_INPUT)
