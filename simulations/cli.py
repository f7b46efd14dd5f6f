"""The command `consilium`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from client.cli import receipts_app, site_app
from common.console import BAD_INPUT, explained
from server.cli import coordinator_app
from simulations.commands.bench import bench_app
from simulations.commands.privacy import privacy_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Federated learning across hospitals on multimodal patient graphs: only weights leave the building.",
)


cohort_app = typer.Typer(no_args_is_help=True, help="Look at a hospital's cohort as the federation would.")


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
    hospitals: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="How many, of the synthetic cohort.")
    ] = None,
    patients: Annotated[
        int | None, typer.Option(min=2, help="Of each hospital, of the synthetic cohort.")
    ] = None,
    federated_only: Annotated[
        bool,
        typer.Option(
            "--federated-only",
            help="Leave out the arms beside the federated one: a run per hospital, and all data in one place.",
        ),
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Of your own Ray cluster, for --engine ray; its machines see the same folders. "
            "Never between hospitals: whoever reaches Ray's ports runs code there.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or cuda:N, where hospitals train; else as each site.toml says."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json, weights and report.html.")] = None,
) -> None:
    """Train hospitals together, alone and pooled, beside classical models, and compare them."""
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
    folder: Annotated[Path, typer.Argument(help="A site folder, or a folder of site folders.")],
    federation: Annotated[
        Path | None, typer.Option(help="The federation file; else the one in FOLDER or above.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a hospital would see of its cohort: counts, coverage, missing cells and problems; no values."""
    from simulations.commands.describe import describe

    if not describe(folder, federation, as_json):
        raise typer.Exit(BAD_INPUT)


def main() -> None:
    """Entry point of the console command."""
    app()
