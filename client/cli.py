"""The command `consilium site`: what a hospital asks of its own folder."""

from pathlib import Path
from typing import Annotated

import typer

from common.console import explained

site_app = typer.Typer(no_args_is_help=True, help="What a hospital keeps about its own part in federations.")


@site_app.command()
@explained
def ledger(
    folder: Annotated[Path, typer.Argument(help="The site folder, which holds site.toml.")],
    note: Annotated[
        str | None,
        typer.Option(
            "--acknowledge",
            metavar="NOTE",
            help="After the ledger was lost or damaged: go on with what is still known to be spent, and keep "
            "NOTE, what happened, in the new ledger.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what of the cohort's privacy budget is spent, on what, and what remains; no patient's data is read."""
    from client.spending_text import show

    show(folder, note, as_json)
