"""Command `consilium federation`: the federation file before anybody is asked to approve it."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from common.console import BAD_INPUT, explained

federation_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Write, check, explain and compare federation files; no coordinator and no patient's data are needed.",
)

SourceArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER|FILE", help="Federation file, or the folder that holds it.")
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@federation_app.callback()
def _federation() -> None:
    """Commands about federation files."""


@federation_app.command()
@explained
def check(source: SourceArgument, as_json: JsonOption = False) -> None:
    """Find every fault of a federation file at once, and settings that change nothing.

    What passes here is not refused by a coordinator, nor at a hospital but for its own policy. Exits with 2 if there is
    a fault.
    """
    from common.checking.checking import check
    from common.checking.text import as_data, lines

    checked = check(source)
    if as_json:
        typer.echo(json.dumps(as_data(checked), indent=2))
    else:
        typer.echo("\n".join(lines(checked)), err=bool(checked.faults))
        if not checked.faults:
            typer.echo(f"Next: {shlex.join(['consilium', 'federation', 'explain', str(source)])}")
    if checked.faults:
        raise typer.Exit(BAD_INPUT)
