"""Command `consilium federation`: the federation file before anybody is asked to approve it."""

import json
import shlex
import sys
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


@federation_app.command()
@explained
def new(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make, which holds federation.toml.")],
    dictionary: Annotated[
        Path | None,
        typer.Option(
            help="Data dictionary: REDCap's CSV, or a CSV with name,type,unit,low,high,levels,label."
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Kind of outcome: survival, response or toxicity.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the federation.")] = None,
    hospital: Annotated[
        list[str] | None, typer.Option(help="Name of a hospital; repeat it for each.")
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="Column of the outcome: time, then event; the class; or each adverse event."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of the time: days, months or years.")] = "months",
    longest: Annotated[
        float | None, typer.Option(help="Longest plausible time; without it, ten years.")
    ] = None,
    classes: Annotated[
        str, typer.Option(help="Classes of a response, joined by commas, the response last.")
    ] = "",
    patients: Annotated[int | None, typer.Option(min=1, help="The most patients of one hospital.")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Privacy cost of a whole run; without it, no privacy is promised.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a federation file from a data dictionary; a terminal is asked for what is missing."""
    from common.agreement.agreement import FILE_NAME, save
    from common.errors import OptionError, StateError
    from consilium.dictionary import read_dictionary
    from consilium.drafting import StudyKind, StudyPlan, drafted

    if out.exists():
        raise StateError(str(out), "is there already", "name a folder that does not exist yet")
    path = Path(
        _answer(None if dictionary is None else str(dictionary), "--dictionary", "Data dictionary (CSV)")
    )
    columns, left_out = read_dictionary(path)
    kind = _answer(study, "--study", "Kind of outcome: survival, response or toxicity")
    if kind not in set(StudyKind):
        raise OptionError(f"--study {kind}", "is no kind of study", f"use {', '.join(StudyKind)}")
    asked = "Column of time, then of event" if kind == StudyKind.SURVIVAL else "Columns of the outcome"
    plan = StudyPlan(
        name=_answer(name, "--name", "Name of the federation"),
        hospitals=hospital or _several("--hospital", "Hospitals"),
        study=StudyKind(kind),
        outcomes=outcome or _several("--outcome", asked),
        unit=unit,
        longest=longest,
        classes=[part.strip() for part in classes.split(",") if part.strip()],
        patients=patients,
        epsilon=epsilon,
    )
    federation = drafted(plan, columns)
    out.mkdir(parents=True)
    save(federation, out / FILE_NAME)
    if as_json:
        facts = {"file": str(out / FILE_NAME), "digest": federation.digest, "left_out": left_out}
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"Written to {out / FILE_NAME}.")
    for sentence in left_out:
        typer.echo(f"Left out {sentence}.")
    typer.echo(f"Next: {shlex.join(['consilium', 'federation', 'check', str(out)])}")


def _answer(given: str | None, option: str, question: str) -> str:
    """Return what an option says, or else a person at a terminal.

    Raises:
        OptionError: if there is neither.
    """
    from common.errors import OptionError

    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise OptionError(option, "is missing", "give it, or run the command on a terminal, where it asks")
    return str(typer.prompt(question))


def _several(option: str, question: str) -> list[str]:
    answer = _answer(None, option, f"{question}, joined by commas")
    return [part.strip() for part in answer.split(",") if part.strip()]
