"""The command `consilium privacy`: what differential privacy would cost, before anything is trained."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained

privacy_app = typer.Typer(
    no_args_is_help=True, help="Plan a federation's privacy; no patient's data is needed."
)


@privacy_app.callback()
def _privacy() -> None:
    """Commands about differential privacy."""


@privacy_app.command()
@explained
def plan(
    patients: Annotated[int, typer.Option(min=1, help="Patients of a typical hospital.")] = 100,
    hospitals: Annotated[int, typer.Option(min=1, help="Hospitals whose updates are averaged.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, training.rounds.")] = 30,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="What a whole run may cost; repeat it for several plans; else 1, 3 and 8."),
    ] = None,
    delta: Annotated[float, typer.Option(help="Delta of the guarantee, privacy.delta.")] = 1e-3,
    sampling_rate: Annotated[
        float, typer.Option(help="Probability of a patient to be in a step, privacy.sampling_rate.")
    ] = 1.0,
    steps: Annotated[int, typer.Option(min=1, help="Private steps in a round, privacy.steps.")] = 1,
    statistics: Annotated[
        str, typer.Option(help="declared: typical ranges, free; or noised: sums, which cost budget.")
    ] = "declared",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Figure of epsilon over rounds: FILE.svg or FILE.png.")
    ] = None,
) -> None:
    """Print how much noise a target epsilon takes, what it really costs, and the lines for federation.toml."""
    from simulations.planning.plan import Question
    from simulations.planning.text import show

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
    show(question, as_json, out)


@privacy_app.command()
@explained
def audit(
    epsilon: Annotated[
        list[float] | None, typer.Option(help="What a private run claims; several for several; else 8 and 1.")
    ] = None,
    delta: Annotated[float, typer.Option(help="Delta of the claims and of the bound.")] = 1e-3,
    models: Annotated[
        int, typer.Option(min=1, help="Models per row; each is attacked, the others are shadows.")
    ] = 16,
    patients: Annotated[
        int, typer.Option(min=1, help="Synthetic patients, half of them in each model.")
    ] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each model.")] = 30,
    canaries: Annotated[
        int, typer.Option(min=1, help="Canary patients in the one run that bounds epsilon.")
    ] = 200,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of everything but noise and sampling.")
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for audit.json and roc.svg.")] = None,
) -> None:
    """Attack models trained with and without privacy; exit with 1 if a run gives away more than it claims."""
    from simulations.audit.audit import Request
    from simulations.audit.command import audit

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
    if not audit(request, out):
        raise typer.Exit(1)
