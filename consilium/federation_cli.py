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


@federation_app.command()
@explained
def explain(source: SourceArgument, as_json: JsonOption = False) -> None:
    """Say in words what every hospital will be asked, what leaves, and what is not used."""
    from common.checking.checking import check, sound_agreement
    from common.word_code import word_code
    from consilium.federation_text import explained as in_words

    agreement = sound_agreement(source)
    lines, warnings = list(in_words(agreement)), check(source, trained=False).warnings
    if as_json:
        facts = {"name": agreement.name, "digest": agreement.digest, "words": word_code(agreement.digest)}
        unused = [
            {"key": warning.key, "what": warning.what, "remedy": warning.remedy} for warning in warnings
        ]
        typer.echo(json.dumps({**facts, "text": lines, "warnings": unused}, indent=2))
        return
    typer.echo("\n".join(lines))
    if warnings:
        typer.echo("\nNot used, or declined by hospitals unless they edit their policy:")
        for warning in warnings:
            typer.echo(f"  - {warning.key}: {warning.what}; {warning.remedy}")


@federation_app.command()
@explained
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Federation file, or its folder.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two federation files, and what it means for hospitals."""
    from common.agreement.loading import load_agreement
    from common.checking.checking import file_in
    from consilium.federation_text import changes, difference_lines

    before, after = load_agreement(file_in(old)), load_agreement(file_in(new))
    if as_json:
        digests = {"old": before.digest, "new": after.digest, "approve_again": before.digest != after.digest}
        typer.echo(json.dumps({**digests, "changes": changes(before, after)}, indent=2))
        return
    typer.echo("\n".join(difference_lines(before, after)))


@federation_app.command()
@explained
def schema() -> None:
    """Print the JSON schema of federation files, which editors with taplo use.

    Save it beside the file, and begin the file with the line `#:schema ./federation.schema.json`.
    """
    from common.agreement.federation import Federation
    from common.agreement.json_schema import json_schema

    typer.echo(json.dumps(json_schema(Federation), indent=2))
