"""The command `consilium bench`: what things cost, measured here and printed as a table."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained

bench_app = typer.Typer(no_args_is_help=True, help="Measure, and print a table.")


@bench_app.command()
@explained
def figures(
    out: Annotated[
        Path, typer.Argument(help="Folder for the results; a cohort found there is not run again.")
    ],
    cohorts: Annotated[list[str] | None, typer.Argument(help="Cohorts; else all public ones.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of splits, weights and everything drawn.")
    ] = 0,
) -> None:
    """Simulate every public cohort with the defaults and print the README's table."""
    from simulations.benchmarks.figures.public_cohorts import COHORTS, run_figures, table

    typer.echo(table(run_figures(cohorts or list(COHORTS), data, seed, out)))


@bench_app.command()
@explained
def privacy(
    out: Annotated[Path, typer.Argument(help="Folder for the results; a run found there is not done again.")],
    cohorts: Annotated[list[str] | None, typer.Argument(help="Cohorts; else all of them.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
) -> None:
    """Simulate public cohorts at several epsilons and print what privacy costs, the table of docs/privacy.md."""
    from simulations.benchmarks.figures.private_training import run_all, table

    typer.echo(table(run_all(cohorts, data, out)))


@bench_app.command()
@explained
def dp(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    patients: Annotated[int, typer.Option(min=2, max=512, help="Patients in a step.")] = 32,
    seconds: Annotated[float, typer.Option(min=1, help="How long to time each model, about.")] = 60,
) -> None:
    """Print what a private training step costs beside a plain one, in time and memory."""
    from simulations.benchmarks.training_step.dp import run_dp, table

    typer.echo(table(run_dp(data, patients, seconds, out)))


@bench_app.command()
@explained
def train(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    patients: Annotated[int, typer.Option(min=2, max=512, help="Patients in a step.")] = 32,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to time each model under each allocator, about.")
    ] = 40,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto.")] = "cpu",
) -> None:
    """Print what a training step costs beside the same network in PyG, in time and memory."""
    from simulations.benchmarks.training_step.bench import run_train
    from simulations.benchmarks.training_step.table import table

    typer.echo(table(run_train(data, patients, seconds, device, out)))


@bench_app.command()
@explained
def message(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    cohorts: Annotated[
        list[str] | None, typer.Argument(help="Cohorts, of which the largest hospital.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=25, help="Processes per kind of message.")] = 5,
) -> None:
    """Print what one message costs at a hospital, by part: each is a process of its own."""
    from simulations.benchmarks.rounds.message import run_message, table

    typer.echo(table(run_message(cohorts or ["lung"], data, repeats, out)))


@bench_app.command()
@explained
def wire(
    cohorts: Annotated[
        list[str] | None, typer.Argument(help="Cohorts for --accuracy; else tcga-pan5 and fed-tcga-brca.")
    ] = None,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            help="Train the cohorts with every encoding too; a run found in this folder is not done again."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="How often an update is packed.")] = 50,
) -> None:
    """Print what an update weighs on the wire in every encoding, and with --accuracy what fewer bytes cost."""
    from simulations.benchmarks.wire.accuracy import COHORTS, run_accuracy
    from simulations.benchmarks.wire.bench import run_wire
    from simulations.benchmarks.wire.table import table

    runs = [] if accuracy is None else run_accuracy(cohorts or COHORTS, data, accuracy)
    typer.echo(table(run_wire(data, repeats, out, runs)))


@bench_app.command()
@explained
def deployment(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    sites: Annotated[int, typer.Option(min=1, max=50, help="Hospitals, all on this machine.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of training.")] = 5,
) -> None:
    """Run a coordinator and hospitals as real processes, and print how long a round takes and what leaves."""
    from simulations.benchmarks.deployment.bench import run_deployment, table

    typer.echo(table(run_deployment(sites, rounds, out)))


@bench_app.command()
@explained
def rounds(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="serial, processes or ray; else all.")] = None,
    sites: Annotated[
        list[int] | None, typer.Option(min=1, max=10_000, help="Hospitals; else 10 and 50.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Of training, in every run.")] = 6,
    repeats: Annotated[int, typer.Option(min=1, max=25, help="Runs of every engine.")] = 3,
) -> None:
    """Print what an engine adds to each message to a hospital, beside Flower's simulation on Ray."""
    from simulations.benchmarks.rounds.bench import ENGINES, run_rounds, table

    chosen = engine or list(ENGINES)
    typer.echo(
        table(run_rounds(chosen, sites or [10, 50], rounds, repeats, out, partial(typer.echo, err=True)))
    )


@bench_app.command()
@explained
def scale(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    sites: Annotated[
        list[int] | None, typer.Option(min=1, max=100_000, help="Hospitals; else 10, 40 and 160.")
    ] = None,
    patients: Annotated[
        list[int] | None, typer.Option(min=12, help="Of each hospital; else 50, 100 and 200.")
    ] = None,
    genes: Annotated[list[int] | None, typer.Option(min=12, help="Else 60, 240 and 960.")] = None,
    engine: Annotated[str, typer.Option(help="serial or processes.")] = "processes",
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Of training, in every run.")] = 4,
    repeats: Annotated[int, typer.Option(min=1, max=25, help="Runs of every size.")] = 1,
) -> None:
    """Print what a round costs in time and memory with more hospitals, more patients or more genes."""
    from simulations.benchmarks.rounds.scale import GENES, PATIENTS, SITES, run_scale, sizes, table

    wanted = sizes(sites or SITES, patients or PATIENTS, genes or GENES)
    typer.echo(table(run_scale(wanted, engine, rounds, repeats, out, partial(typer.echo, err=True))))
