"""Command group `consilium privacy`: plans of differential privacy and attacks that test it."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs, require_extra
from common.json_output import JsonOption

privacy_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Plan the differential privacy of a federation, or test it by attacks on synthetic patients.",
)


@privacy_app.callback()
def _privacy() -> None:
    """Group the commands about differential privacy."""


@privacy_app.command()
@explained
def plan(
    patients: Annotated[int, typer.Option(min=1, help="Number of patients in a typical hospital.")] = 100,
    hospitals: Annotated[
        int, typer.Option(min=1, help="Number of hospitals whose updates are averaged.")
    ] = 10,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of training rounds, as in training.rounds.")
    ] = 30,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="Epsilon that a whole run may cost; repeat it for several plans. Without it, 1, 3 and 8."
        ),
    ] = None,
    delta: Annotated[float, typer.Option(help="Delta of the privacy guarantee, as in privacy.delta.")] = 1e-3,
    sampling_rate: Annotated[
        float, typer.Option(help="Probability that a patient is in a step, as in privacy.sampling_rate.")
    ] = 1.0,
    steps: Annotated[
        int, typer.Option(min=1, help="Number of private steps in a round, as in privacy.steps.")
    ] = 1,
    statistics: Annotated[
        str,
        typer.Option(
            help="Source of the preprocessing: declared typical ranges, which cost nothing, or noised sums over "
            "patients, which cost a part of epsilon."
        ),
    ] = "declared",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for a figure of epsilon over rounds, which ends in .svg or .png; without it, none is written."
        ),
    ] = None,
) -> None:
    """Print the noise that a target epsilon needs, and the lines for federation.toml."""
    if out is not None:
        require_extra("simulate", "consilium privacy plan --out")
    from simulations.planning.plan import Question
    from simulations.planning.text import print_plans

    question = Question(
        patients=patients,
        hospitals=hospitals,
        rounds=rounds,
        epsilons=tuple(epsilon or (1.0, 3.0, 8.0)),
        delta=delta,
        sampling_rate=sampling_rate,
        steps=steps,
        statistics=statistics,
    )
    print_plans(question, as_json, out)


@privacy_app.command()
@explained
@needs("simulate", "consilium privacy audit")
def audit(
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="Epsilon that a private run claims; repeat it for several runs. Without it, 8 and 1."
        ),
    ] = None,
    delta: Annotated[float, typer.Option(help="Delta of the claimed and of the measured epsilon.")] = 1e-3,
    models: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of models trained for a row; every model is attacked with the others as its shadow models.",
        ),
    ] = 20,
    patients: Annotated[
        int, typer.Option(min=1, help="Number of synthetic patients, half of which train a model.")
    ] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Number of training rounds of a model.")] = 30,
    canaries: Annotated[
        int,
        typer.Option(min=1, help="Number of canary patients in the one run that bounds epsilon from below."),
    ] = 200,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=2**31 - 1, help="Seed of all random draws except private noise and sampling."
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write audit.json and roc.svg to; without it, no file is written."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack models trained with and without privacy; exit code 1 if a claim is refuted."""
    from simulations.audit.audit import Request
    from simulations.audit.command import write_audit

    request = Request(
        epsilons=tuple(epsilon or (8.0, 1.0)),
        delta=delta,
        patients=patients,
        models=models,
        rounds=rounds,
        canaries=canaries,
        seed=seed,
        command=shlex.join(["consilium", *sys.argv[1:]]),
    )
    if not write_audit(request, out, as_json=as_json):
        raise typer.Exit(1)
