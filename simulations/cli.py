"""Commands `consilium simulate` and `consilium cohort`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.console import BAD_INPUT, explained
from simulations.cohorts.sources import cohort_sources
from simulations.extras import needs

simulate_app = typer.Typer(add_completion=False)


cohort_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look at the cohort of a hospital as the federation will see it.",
)


@cohort_app.callback()
def _cohort() -> None:
    """Commands about the cohort of a hospital."""


@simulate_app.command()
@explained
@needs("simulate", "consilium simulate")
def simulate(
    cohort: Annotated[
        str,
        typer.Argument(
            help=f"Cohort to simulate: {', '.join(source.name for source in cohort_sources())}, or a folder that "
            "holds federation.toml and one site folder per hospital. Write ./NAME for a folder that is called "
            "like a cohort."
        ),
    ] = "lung",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the public data sets; without it, $CONSILIUM_DATA is read."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest number of training rounds; without it, training.rounds of the federation file.",
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of the only fold to hold out for testing, from 0; without it, --folds decides.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=1, help="Hold out the first N folds for testing, in turn; without it, all folds."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="Seed of splits, first weights and all random draws; without it, training.seed.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine that runs the hospitals: serial, processes or ray; all give the same weights. "
            "Without it, the size of the tables decides."
        ),
    ] = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="Train also under patient-level differential privacy with this epsilon; repeat it for several."
        ),
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(
            help="Delta of the privacy guarantee of every --epsilon; without it, privacy.delta of the federation "
            "file, or 0.001 where the file has no privacy section."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the federation file, such as training.rounds=5; repeat it for several.",
        ),
    ] = None,
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
    federated_only: Annotated[
        bool,
        typer.Option(
            "--federated-only",
            help="Train the federation only: leave out the hospitals alone, the pooled data and the classical models.",
        ),
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of your own Ray cluster, for --engine ray; its machines must see the same folders. "
            "Never use one between hospitals: anyone who reaches the ports of Ray can run code there.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device on which hospitals train: auto, cpu, cuda or cuda:N; without it, the device in site.toml."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write result.json, report.html, weights and journals to; without it, no file is written."
        ),
    ] = None,
) -> None:
    """Train hospitals as a federation, alone and pooled, beside classical models, and compare them."""
    from simulations.experiment.preparing import Request
    from simulations.simulate import simulate

    request = Request(
        cohort=cohort,
        data=data,
        rounds=rounds,
        fold=fold,
        folds=folds,
        seed=seed,
        engine=engine,
        settings=tuple(set_ or ()),
        epsilons=tuple(epsilon or ()),
        delta=delta,
        hospitals=hospitals,
        patients=patients,
        federated_only=federated_only,
        ray_address=ray_address,
        device=device,
        out=out,
        command=shlex.join(["consilium", *sys.argv[1:]]),
    )
    if (code := simulate(request)) != 0:
        raise typer.Exit(code)


@cohort_app.command()
@explained
def describe(
    folder: Annotated[Path, typer.Argument(help="Site folder, or folder that holds several site folders.")],
    federation: Annotated[
        Path | None,
        typer.Option(help="Federation file; without it, the federation.toml in FOLDER or in its parent."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print patient counts, coverage, missing cells and problems of a cohort, and no values."""
    from simulations.commands.describe import describe

    if not describe(folder, federation, as_json):
        raise typer.Exit(BAD_INPUT)


def main() -> None:
    """Run the whole console command, for installations made before it had a package of its own."""
    from consilium.command import main

    main()
