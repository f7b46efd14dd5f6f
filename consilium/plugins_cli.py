"""Command `consilium plugins`: the installed plug-ins as a federation file names them."""

import json
from typing import Annotated

import typer

from common.console import explained

plugins_app = typer.Typer(add_completion=False)


@plugins_app.command()
@explained
def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of lines for a file.")] = False,
) -> None:
    """Print the lines by which a federation file names the plug-ins that are installed here."""
    import tomli_w

    from common.plugins.distribution import GROUP, installed_plugins

    installed = [plugin.model_dump() for plugin in installed_plugins()]
    if as_json:
        typer.echo(json.dumps(installed, indent=2))
    elif installed:
        typer.echo(tomli_w.dumps({"plugins": installed}).strip())
    else:
        typer.echo(f"No plug-in is installed: no distribution has an entry point of the group {GROUP}.")
