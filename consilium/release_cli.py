"""Command `consilium release`: verification and documents, for anybody who has the file."""

from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.json_output import JsonOption, print_json

release_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Verify the signed file of a trained model, and write its model card and checklists.",
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
    as_json: JsonOption = False,
) -> None:
    """Verify a release with the public key alone.

    Checked are the form of the file, its signature, every member, and that they belong together.
    """
    from common.release.release import read_release
    from common.release.signing import read_verifying_key
    from common.validation.sums.table import validation_lines

    public = read_verifying_key(key, "name the coordinator's ca.crt")
    release = read_release(file, public)
    if as_json:
        facts = release.manifest.model_dump(exclude={"members"})
        print_json({**facts, "card": release.card, "signer": release.signer})
        return
    for line in [*release.lines(), *validation_lines(release.members, release.where)]:
        typer.echo(line)
    typer.echo(f"Signed by {release.signer}; every byte is as it was signed.")


@release_app.command()
@explained
def card(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of a release.")],
    out: Annotated[Path, typer.Option(help="Folder to write into; files of the same names are replaced.")],
    key: Annotated[
        Path | None,
        typer.Option(
            help="File ca.crt of the coordinator, or its public key alone; without it the card says that the origin is"
            " not known."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write model card and checklists of a release, from the release alone.

    The card is Markdown, JSON, and XML by CHAI's Applied Model Card 0.2; TRIPOD+AI, PROBAST+AI and MI-CLAIM are
    Markdown and JSON, filled where the release knows.
    """
    from common.documents.documents import CHECKLISTS, write_documents
    from common.documents.facts.facts import facts_of
    from common.release.release import read_release
    from common.release.signing import read_verifying_key

    public = None if key is None else read_verifying_key(key, "name the coordinator's ca.crt")
    release = read_release(file, public)
    write_documents(release, out)
    facts = facts_of(release)
    if as_json:
        filled = {name: checklist.summary(facts) for name, checklist in CHECKLISTS.items()}
        print_json({"release": release.version, "folder": out, "checklists": filled})
        return
    typer.echo(f"Model card of {release.version} in {out}: model-card.md, .json and .xml.")
    for name, checklist in CHECKLISTS.items():
        typer.echo(f"{checklist.name} in {name}.md and .json: {checklist.summary(facts)}.")
