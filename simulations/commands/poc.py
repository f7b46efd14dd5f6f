"""Command `consilium poc`: a whole federation of real processes on this machine."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.lifetime.signals import with_remedy
from simulations.commands.arguments import DataFolder

poc_app = typer.Typer(add_completion=False)


@poc_app.command()
@explained
@needs("simulate", "consilium poc")
def poc(
    cohort: Annotated[
        str,
        typer.Argument(
            help="Cohort by name, as for `consilium simulate`, or a folder that holds federation.toml and one site "
            "folder per hospital."
        ),
    ] = "lung",
    hospitals: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Number of hospitals. Those of a cohort by name are merged into as many, without it into 3; of a "
            "folder the first ones take part, without it all.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of rounds, of which each takes several seconds; without it, 4 for a cohort by name, and those "
            "of a folder's own federation.toml.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="New folder for the coordinator's home, the site folders and the run, to go on by hand; without it, "
            "nothing is left.",
        ),
    ] = None,
    data: DataFolder = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON at the end, and all else on standard error.")
    ] = False,
) -> None:
    """Run a whole federation on this machine, in real processes, to a finished run.

    Coordinator, hospitals, TLS, proxy, enrolment, approval: every step is printed as the command that a person would
    type. The exit code is that of the run.
    """
    from simulations.poc.proof import ProofRequest, proven
    from simulations.poc.terminal import CommandFailed
    from simulations.poc.text import as_json as in_json
    from simulations.poc.text import ending

    say = partial(typer.echo, err=as_json)
    try:
        with proven(
            ProofRequest(cohort, data, hospitals, rounds, keep),
            lambda line: say(f"$ {line}"),
            lambda line: say(f"  {line}"),
        ) as proof:
            if as_json:
                typer.echo(json.dumps(in_json(proof, keep is not None), indent=2))
            else:
                for line in ending(proof, keep is not None):
                    say(line)
            code = proof.code
    except CommandFailed as failed:
        typer.echo(f"consilium: {failed}.", err=True)
        raise typer.Exit(failed.code) from None
    except KeyboardInterrupt as interruption:
        kept = "nothing is left" if keep is None or not keep.exists() else f"{keep} is kept as it is"
        raise with_remedy(interruption, f"all processes have ended, and {kept}.") from None
    if code:
        raise typer.Exit(code)
