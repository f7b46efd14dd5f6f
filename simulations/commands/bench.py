"""Command group `consilium bench`: time, memory and bytes, measured on this machine."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.json_output import JsonOption
from simulations.commands.arguments import DataFolder, FiguresFile
from simulations.commands.figures import show
from simulations.commands.trained_model import explain, intervals, warnings
from simulations.commands.units import units

bench_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure time, memory, bytes or accuracy on this machine, and print a table.",
)


@bench_app.command()
@explained
@needs("simulate", "consilium bench figures")
def figures(
    out: Annotated[
        Path,
        typer.Argument(
            help="Folder for the results; a cohort whose result is already there is not run again."
        ),
    ],
    cohorts: Annotated[
        list[str] | None, typer.Argument(help="Cohorts to simulate; without any, all public ones.")
    ] = None,
    data: DataFolder = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Seed of splits, first weights and all random draws.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Simulate every public cohort with the default settings and print the table of the README."""
    from simulations.benchmarks.figures.public_cohorts import COHORTS, public_cohorts_table, run_figures

    show(run_figures(cohorts or list(COHORTS), data, seed, out), public_cohorts_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench seeds")
def seeds(
    out: Annotated[
        Path,
        typer.Argument(help="Folder for the results; a run whose result is already there is not repeated."),
    ],
    cohorts: Annotated[list[str], typer.Argument(help="Cohorts to simulate.")],
    number: Annotated[
        int, typer.Option("--seeds", min=2, max=100, help="Number of seeds, counted from 0.")
    ] = 3,
    folds: Annotated[
        int | None,
        typer.Option(min=1, help="Hold out the first N folds for testing, in turn; without it, all folds."),
    ] = None,
    data: DataFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate the federated arm with several seeds and print the spread of its accuracy."""
    from simulations.benchmarks.figures.seeds import run_seeds, seeds_table

    show([run_seeds(cohort, data, number, folds, out) for cohort in cohorts], seeds_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench table")
def table(
    cohorts: Annotated[
        list[str] | None,
        typer.Option(
            help="Cohort or folder; repeat it for several. Without it, the public ones of the table."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Number of seeds, from 0.")] = 3,
    folds: Annotated[
        int, typer.Option(min=1, max=100, help="Number of folds to hold out in turn; all if there are fewer.")
    ] = 5,
    ablations: Annotated[
        bool,
        typer.Option(
            "--ablations", help="Print the ablations: the model with one part removed or destroyed."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for runs and figures; what is finished there is not done again. Without it, nothing is kept."
        ),
    ] = None,
    data: DataFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the model with single modalities, fusions and a linear one, over seeds and folds."""
    from simulations.benchmarks.field.table import COHORTS, field_table, run_table

    say = partial(typer.echo, err=True)
    show(run_table(cohorts or COHORTS, data, seeds, folds, ablations, out, say), field_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench robustness")
def robustness(
    cohorts: Annotated[
        list[str] | None,
        typer.Option(
            help="Cohort or folder; repeat it for several. Without it, the public ones of the table."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Number of seeds, from 0.")] = 1,
    folds: Annotated[
        int, typer.Option(min=1, max=100, help="Number of folds, and of unseen hospitals, held out in turn.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for runs, figures and robustness.html with the curves; what is finished there is not done "
            "again. Without it, nothing is kept."
        ),
    ] = None,
    data: DataFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the model with linear ones and a forest under noise, gaps, fewer labels and skew."""
    from simulations.benchmarks.field.robustness import robustness_table, run_robustness
    from simulations.benchmarks.field.table import COHORTS

    say = partial(typer.echo, err=True)
    show(run_robustness(cohorts or COHORTS, data, seeds, folds, out, say), robustness_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench privacy")
def privacy(
    out: Annotated[
        Path,
        typer.Argument(help="Folder for the results; a run whose result is already there is not repeated."),
    ],
    cohorts: Annotated[
        list[str] | None, typer.Argument(help="Cohorts to simulate; without any, all of the table.")
    ] = None,
    data: DataFolder = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Runs of each cohort, with seeds and noise of their own.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Simulate cohorts at several epsilons and print the accuracy lost, as in docs/privacy.md."""
    from simulations.benchmarks.figures.private_training import privacy_table, run_all

    show(run_all(cohorts, data, out, draws), privacy_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench dp")
def dp(
    out: FiguresFile = None,
    data: DataFolder = None,
    patients: Annotated[
        int, typer.Option(min=2, max=512, help="Number of patients in a training step.")
    ] = 32,
    seconds: Annotated[
        float, typer.Option(min=1, help="Approximate time for measuring a model, in seconds.")
    ] = 60,
    as_json: JsonOption = False,
) -> None:
    """Compare a private training step with a plain one, in time and memory."""
    from simulations.benchmarks.training_step.dp import dp_table, run_dp

    show(run_dp(data, patients, seconds, out), dp_table, as_json)


@bench_app.command()
@explained
@needs("dev", "consilium bench train")
def train(
    out: FiguresFile = None,
    data: DataFolder = None,
    patients: Annotated[
        int, typer.Option(min=2, max=512, help="Number of patients in a training step.")
    ] = 32,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Approximate time for measuring a model under one allocator, in seconds; without it 40 on the CPU "
            "and 10 on a GPU.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device to train on: cpu, cuda, cuda:N or auto.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Compare a training step with the same network in PyTorch Geometric, in time and memory."""
    from simulations.benchmarks.training_step.bench import run_train
    from simulations.benchmarks.training_step.table import train_table

    show(run_train(data, patients, seconds, device, out), train_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench message")
def message(
    out: FiguresFile = None,
    cohorts: Annotated[
        list[str] | None,
        typer.Argument(help="Cohorts whose largest hospital is measured; without any, lung."),
    ] = None,
    data: DataFolder = None,
    repeats: Annotated[
        int, typer.Option(min=1, max=25, help="Number of processes started for a kind of message.")
    ] = 5,
    as_json: JsonOption = False,
) -> None:
    """Measure one message at a hospital, part by part; every message starts a process."""
    from simulations.benchmarks.rounds.message import message_table, run_message

    show(run_message(cohorts or ["lung"], data, repeats, out), message_table, as_json)


@bench_app.command()
@explained
@needs("dev", "consilium bench wire")
def wire(
    cohorts: Annotated[
        list[str] | None,
        typer.Argument(help="Cohorts for --accuracy; without any, tcga-pan5 and fed-tcga-brca."),
    ] = None,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            help="Folder for training the cohorts with every encoding; a run whose result is already there is "
            "not done again. Without it, no cohort is trained."
        ),
    ] = None,
    out: FiguresFile = None,
    data: DataFolder = None,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Number of times an update is packed.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Measure the bytes of an update in every encoding and, with --accuracy, the accuracy lost."""
    from simulations.benchmarks.wire.accuracy import COHORTS, run_accuracy
    from simulations.benchmarks.wire.bench import run_wire
    from simulations.benchmarks.wire.table import wire_table

    runs = [] if accuracy is None else run_accuracy(cohorts or COHORTS, data, accuracy)
    show(run_wire(data, repeats, out, runs), wire_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench deployment")
def deployment(
    out: FiguresFile = None,
    sites: Annotated[int, typer.Option(min=1, max=50, help="Number of hospitals, all on this machine.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Number of training rounds.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Run coordinator and hospitals as real processes; measure time and bytes of a round."""
    from simulations.benchmarks.deployment.bench import deployment_table, run_deployment

    show(run_deployment(sites, rounds, out), deployment_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench rounds")
def rounds(
    out: FiguresFile = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine: serial, processes or ray; repeat it for several. Without it, all of them."
        ),
    ] = None,
    sites: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=10_000, help="Number of hospitals; repeat it for several. Without it, 10 and 50."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Number of training rounds in a run.")] = 6,
    repeats: Annotated[int, typer.Option(min=1, max=25, help="Number of runs of an engine.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Measure the time that an engine adds to a message, beside the simulation of Flower on Ray."""
    from simulations.benchmarks.rounds.bench import ENGINES, rounds_table, run_rounds

    chosen = engine or list(ENGINES)
    say = partial(typer.echo, err=True)
    show(run_rounds(chosen, sites or [10, 50], rounds, repeats, out, say), rounds_table, as_json)


@bench_app.command()
@explained
@needs("simulate", "consilium bench scale")
def scale(
    out: FiguresFile = None,
    sites: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=100_000, help="Number of hospitals; repeat it for several. Without it, 10, 40 and 160."
        ),
    ] = None,
    patients: Annotated[
        list[int] | None,
        typer.Option(
            min=12,
            help="Number of patients in a hospital; repeat it for several. Without it, 50, 100 and 200.",
        ),
    ] = None,
    genes: Annotated[
        list[int] | None,
        typer.Option(min=12, help="Number of genes; repeat it for several. Without it, 60, 240 and 960."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Engine that runs the hospitals: serial or processes.")
    ] = "processes",
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Number of training rounds in a run.")] = 4,
    repeats: Annotated[int, typer.Option(min=1, max=25, help="Number of runs of a size.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure time and memory of a round with more hospitals, more patients or more genes."""
    from simulations.benchmarks.rounds.scale import GENES, PATIENTS, SITES, run_scale, scale_table, sizes

    wanted = sizes(sites or SITES, patients or PATIENTS, genes or GENES)
    show(run_scale(wanted, engine, rounds, repeats, out, partial(typer.echo, err=True)), scale_table, as_json)


for command in (explain, intervals, warnings, units):
    bench_app.command()(command)
