"""Command `consilium release`: verification by anybody who has the public key."""

import json
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained

release_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Verify the signed file of a trained model.",
)


@release_app.callback()
def _release() -> None:
    """Commands about releases."""


@release_app.command()
@explained
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of a release.")],
    key: Annotated[
        Path,
        typer.Option(
            help="File ca.crt of the coordinator, or its public key alone, got by another way than FILE."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Verify a release with the public key alone.

    Checked are the form of the file, its signature, every member, and that they belong together.
    """
    from common.release.release import read_release
    from common.release.signing import read_verifying_key

    public = read_verifying_key(key, "name the coordinator's ca.crt")
    release = read_release(file, public)
    if as_json:
        facts = release.manifest.model_dump(exclude={"members"})
        typer.echo(
            json.dumps({**facts, "card": release.card.model_dump(), "signer": release.signer}, indent=2)
        )
        return
    for line in release.lines():
        typer.echo(line)
    typer.echo(f"Signed by {release.signer}; every byte is as it was signed.")
