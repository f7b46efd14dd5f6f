"""The command `consilium`."""

import shlex
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from common.errors import InputError

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Federated learning across hospitals on multimodal patient graphs: only weights leave the building.",
)
cohort_app = typer.Typer(no_args_is_help=True, help="Look at a hospital's cohort as the federation would.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure, and print a table.")
app.add_typer(cohort_app, name="cohort")
app.add_typer(bench_app, name="bench")

BAD_INPUT, INTERRUPTED = 2, 130


@app.callback()
def _consilium() -> None:
    """Every subcommand prints one sentence and exits with 2 on bad input."""


def _explained(command: Callable[P, None]) -> Callable[P, None]:
    """Bad input, or a file that cannot be used, ends in one sentence and exit code 2, an interrupted run in 130."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"consilium: {error}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where, what = error.filename or "a file", error.strerror or type(error).__name__
            told = InputError(str(where), what, "check its name, its permissions and the space left")
            typer.echo(f"consilium: {told}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            typer.echo("consilium: interrupted; nothing was written.", err=True)
            raise typer.Exit(INTERRUPTED) from None

    return run


@app.command()
@_explained
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
        out=out,
        command=shlex.join(["consilium", *sys.argv[1:]]),
    )
    if (code := simulate(request)) != 0:
        raise typer.Exit(code)


@cohort_app.command()
@_explained
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
@_explained
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


def main() -> None:
    """Entry point of the console command."""
    app()
