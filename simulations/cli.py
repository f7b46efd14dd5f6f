"""The command `consilium`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from client.cli import receipts_app, site_app
from common.console import BAD_INPUT, explained
from server.cli import coordinator_app
from simulations.privacy_cli import privacy_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Federated learning across hospitals on multimodal patient graphs: only weights leave the building.",
)
cohort_app = typer.Typer(no_args_is_help=True, help="Look at a hospital's cohort as the federation would.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure, and print a table.")
app.add_typer(cohort_app, name="cohort")
app.add_typer(site_app, name="site")
app.add_typer(receipts_app, name="receipts")
app.add_typer(coordinator_app, name="coordinator")
app.add_typer(privacy_app, name="privacy")
app.add_typer(bench_app, name="bench")


@app.callback()
def _consilium() -> None:
    """Every subcommand prints one sentence and exits with 2 on bad input."""


@app.command()
@explained
def simulate(
    cohort: Annotated[
        str,
        typer.Argument(
            help="lung, synthetic, tcga-CANCER, tcga-pan5, fed-tcga-brca, fed-heart, ici, cdisc, or a folder that "
            "holds federation.toml and one site folder per hospital (./NAME if it is called like a cohort)."
        ),
    ] = "lung",
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds at most, training.rounds.")] = None,
    fold: Annotated[int | None, typer.Option(min=0, help="Hold out this fold only.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=1, help="Hold out the first N folds in turn; else all.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**31 - 1, help="Of splits, weights and everything drawn, training.seed."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="serial, processes or ray; else by the size of the tables. Same weights on all."),
    ] = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="Train also under patient-level differential privacy at this epsilon; may be repeated."
        ),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="At which each epsilon holds; else that of [privacy], or 0.001.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the federation file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json, weights and report.html.")] = None,
) -> None:
    """Train hospitals together, alone and pooled, beside classical models, and compare them."""
    from simulations.simulate import Request, simulate

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
        out=out,
        command=shlex.join(["consilium", *sys.argv[1:]]),
    )
    if (code := simulate(request)) != 0:
        raise typer.Exit(code)


@cohort_app.command()
@explained
def describe(
    folder: Annotated[Path, typer.Argument(help="A site folder, or a folder of site folders.")],
    federation: Annotated[
        Path | None, typer.Option(help="The federation file; else the one in FOLDER or above.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a hospital would see of its cohort: counts, coverage, missing cells and problems; no values."""
    from simulations.describe import describe

    if not describe(folder, federation, as_json):
        raise typer.Exit(BAD_INPUT)


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
    from simulations.benchmarks.figures import COHORTS, run_figures, table

    typer.echo(table(run_figures(cohorts or list(COHORTS), data, seed, out)))


@bench_app.command()
@explained
def privacy(
    out: Annotated[Path, typer.Argument(help="Folder for the results; a run found there is not done again.")],
    cohorts: Annotated[list[str] | None, typer.Argument(help="Cohorts; else all of them.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of public data; else $CONSILIUM_DATA.")] = None,
) -> None:
    """Simulate public cohorts at several epsilons and print what privacy costs, the table of docs/privacy.md."""
    from simulations.benchmarks.private_figures import run_all, table

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
    from simulations.benchmarks.dp import run_dp, table

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
) -> None:
    """Print what a training step costs beside the same network in PyG, in time and memory."""
    from simulations.benchmarks.train import run_train, table

    typer.echo(table(run_train(data, patients, seconds, out)))


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
    from simulations.benchmarks.message import run_message, table

    typer.echo(table(run_message(cohorts or ["lung"], data, repeats, out)))


@bench_app.command()
@explained
def deployment(
    out: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
    sites: Annotated[int, typer.Option(min=1, max=50, help="Hospitals, all on this machine.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of training.")] = 5,
) -> None:
    """Run a coordinator and hospitals as real processes, and print how long a round takes and what leaves."""
    from simulations.benchmarks.deployment import run_deployment, table

    typer.echo(table(run_deployment(sites, rounds, out)))


def main() -> None:
    """Entry point of the console command."""
    app()
