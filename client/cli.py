"""The command `consilium site`: what a hospital asks of its own folder."""

import json
from pathlib import Path
from typing import Annotated

import typer

from common.console import BAD_INPUT, explained

site_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What a hospital does, and keeps, about its part in federations.",
)


receipts_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The signed record of every message that left a hospital.",
)


SiteArgument = Annotated[Path, typer.Argument(metavar="SITE", help="The site folder, which holds site.toml.")]


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@site_app.command()
@explained
def init(
    folder: Annotated[Path, typer.Argument(metavar="SITE", help="The site folder, which may be new.")],
    name: Annotated[str, typer.Option(help="The hospital's name, as in the federation file.")],
    coordinator: Annotated[str, typer.Option(metavar="HOST:PORT", help="What this hospital dials.")],
    ca: Annotated[Path, typer.Option(help="The coordinator's ca.crt.")],
    port: Annotated[
        int | None,
        typer.Option(help="Local port between the site's own processes; else 9094, or the next free one."),
    ] = None,
) -> None:
    """Make a node key, keep the way to the coordinator, and begin a site.toml; nothing is written over."""
    from client.commands.init import enlist
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    done = enlist(home, name, coordinator, ca, port)
    for word, paths in (("Made", done.made), ("Kept", done.kept)):
        for path in paths:
            typer.echo(f"{word} {path}")
    typer.echo(f"Local port: {done.port}{_why(done.port) if home.connection in done.made else ''}")
    typer.echo(f"Node key: {done.fingerprint}")
    typer.echo(
        f"Send {home.public_key} to the coordinator and compare this fingerprint with it by telephone."
    )
    typer.echo(
        f"Next: fill in {folder / 'site.toml'}, then consilium site approve {folder} FEDERATION_FOLDER"
    )


def _why(port: int) -> str:
    """What a hospital should know of a port that is new."""
    from client.runtime.local_port import DEFAULT, is_free

    if not is_free(port):
        return ", which is in use on this machine now; it must be free when the site starts"
    return "" if port == DEFAULT or is_free(DEFAULT) else f", because {DEFAULT} is in use on this machine"


@site_app.command()
@explained
def approve(
    folder: SiteArgument,
    federation: Annotated[
        Path, typer.Argument(metavar="FEDERATION_FOLDER", help="Holds federation.toml and its public files.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
) -> None:
    """Say in words what a federation computes, what leaves and what it costs; keep a copy once it is agreed to."""
    from client.commands.approve import approve, read_proposal
    from client.commands.approve_text import in_words
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    proposal = read_proposal(home, federation)
    for line in in_words(proposal):
        typer.echo(line)
    if not yes and not typer.confirm("\nDoes this hospital agree?"):
        typer.echo("Nothing was approved.")
        raise typer.Exit(1)
    done = approve(home, proposal)
    typer.echo(f"\nApproved {done.federation} for consilium {done.version}, in {home.agreement.parent}.")


@site_app.command()
@explained
def check(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Check the tables against the approved federation file and print counts, no values; exits with 2 on problems."""
    from client.commands.check import check, check_lines
    from client.site_folder.places import Home

    seen = check(Home(folder.resolve()))
    typer.echo(json.dumps(seen, indent=2) if as_json else "\n".join(check_lines(seen)))
    if seen["problems"]:
        raise typer.Exit(BAD_INPUT)


@site_app.command()
@explained
def start(folder: SiteArgument) -> None:
    """Take part, in the foreground, until it is stopped."""
    from client.runtime.services import start
    from client.site_folder.places import Home, read_connection

    home = Home(folder.resolve())
    typer.echo(f"Dialling {read_connection(home).coordinator}; logs are in {home.logs}.")
    start(home)


@site_app.command()
@explained
def rekey(folder: SiteArgument) -> None:
    """Make a new node key in place of one that was lost or seen by others; the old key's receipts are kept beside."""
    from client.commands.rekey import rekey
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    done = rekey(home)
    typer.echo(f"New node key: {done.new}, in place of {done.old}")
    if done.archive is not None:
        typer.echo(f"The old key's receipts are in {done.archive}, with the public key that verifies them.")
    typer.echo(f"Next: have the coordinator withdraw the old key, and enrol {home.public_key}.")


@site_app.command()
@explained
def stop(folder: SiteArgument) -> None:
    """End the site that runs in this folder, and all its processes, be its supervisor alive or killed."""
    from client.runtime.services import state_file
    from client.site_folder.places import Home
    from common.processes.supervision import end_leftovers
    from common.processes.supervision_state import end_supervisor

    state = state_file(Home(folder.resolve()))
    ended, left = end_supervisor(state), end_leftovers(state)
    if left:
        typer.echo(f"The supervisor had been killed; ended what it had left running: {', '.join(left)}.")
    else:
        typer.echo("Stopped." if ended else "It does not run.")


@site_app.command()
@explained
def status(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Print what is approved, which processes run, and when the last message left."""
    from client.commands.status import status, status_lines
    from client.site_folder.places import Home

    found = status(Home(folder.resolve()))
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(status_lines(found)))


@site_app.command()
@explained
def receipts(
    folder: SiteArgument,
    html: Annotated[Path | None, typer.Option(help="Write a page to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify and print the record of every message that left."""
    from client.receipts.page import as_data, as_lines, page, read_receipts, verdict
    from client.site_folder.places import Home
    from common.files import write_whole

    home = Home(folder.resolve())
    found = read_receipts(home)
    if html is not None:
        write_whole(html, page(home, found).encode())
    if as_json:
        typer.echo(json.dumps(as_data(found), indent=2))
        return
    for line in as_lines(found.receipts):
        typer.echo(line)
    typer.echo(verdict(found) if html is None else f"{verdict(found)} Written to {html}.")


@site_app.command()
@explained
def doctor(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Look for whatever could keep this site from taking part, with a remedy each; exits with 2 if anything does."""
    from client.doctor.examination import examine, findings_lines
    from client.site_folder.places import Home

    findings = examine(Home(folder.resolve()))
    if as_json:
        typer.echo(json.dumps([finding.model_dump() for finding in findings], indent=2))
    else:
        typer.echo("\n".join(findings_lines(findings)))
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(BAD_INPUT)


@receipts_app.callback()
def _receipts() -> None:
    """Commands about receipts."""


@receipts_app.command()
@explained
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A hospital's receipts.jsonl, its head file beside.")
    ],
    key: Annotated[Path, typer.Option(help="The hospital's node_key.pub.")],
) -> None:
    """Check every receipt, its place, its signature and that none is missing at the end, with the public key alone."""
    from client.receipts.page import verdict
    from client.receipts.verification import verify
    from client.site_folder.keys import fingerprint, read_public_key

    public = read_public_key(key)
    typer.echo(f"{verdict(verify(file, public))} Signed by {fingerprint(public)}.")


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
    from client.ledger.account_text import show

    show(folder, note, as_json)
