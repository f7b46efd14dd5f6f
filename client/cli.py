"""Commands `consilium site` and `consilium receipts` of a hospital."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from client.cli_arguments import SiteArgument
from client.records_cli import records_app
from common.console import BAD_INPUT, explained
from common.json_output import JsonOption, print_json

site_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Set up a hospital's site, approve federations, take part in them, and see what left the hospital.",
)


receipts_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Verify the signed record of every message that left a hospital.",
)


@site_app.command()
@explained
def init(
    folder: Annotated[Path, typer.Argument(metavar="SITE", help="Site folder, made if it does not exist.")],
    name: Annotated[str, typer.Option(help="Name of the hospital, as the federation file spells it.")],
    coordinator: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Address of the coordinator, such as fl.example.org:9443."),
    ],
    ca: Annotated[Path, typer.Option(help="File ca.crt that the coordinator sent.")],
    port: Annotated[
        int | None,
        typer.Option(
            help="Port by which the site's processes reach each other on this machine; without it, 9094 or the next "
            "free port."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a node key, store the coordinator's address, and begin a site.toml.

    No file is overwritten.
    """
    from client.commands.init import initialise
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    report = initialise(home, name, coordinator, ca, port)
    if as_json:
        print_json(report)
        return
    for word, paths in (("Made", report.new_files), ("Kept", report.kept_files)):
        for path in paths:
            typer.echo(f"{word} {path}")
    typer.echo(
        f"Local port: {report.port}{_port_note(report.port) if home.connection in report.new_files else ''}"
    )
    typer.echo(f"Node key: {report.fingerprint}")
    typer.echo(
        f"Send {home.public_key} to the coordinator and compare this fingerprint with it by telephone."
    )
    approve = shlex.join(["consilium", "site", "approve", str(folder), "FEDERATION_FOLDER"])
    typer.echo(f"Next: fill in {folder / 'site.toml'}, then {approve}")


def _port_note(port: int) -> str:
    """Note on a new port that is not the default one, or not free."""
    from client.runtime.local_port import DEFAULT, is_free

    if not is_free(port):
        return ", which is in use on this machine now; it must be free when the site starts"
    return "" if port == DEFAULT or is_free(DEFAULT) else f", because {DEFAULT} is in use on this machine"


@site_app.command()
@explained
def approve(
    folder: SiteArgument,
    federation: Annotated[
        Path,
        typer.Argument(metavar="FEDERATION_FOLDER", help="Folder with federation.toml and its public files."),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking for a confirmation.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain what a federation computes, sends and costs, and store a copy once you approve."""
    from client.commands.approve import approve, read_proposal
    from client.commands.approve_disclosure import disclosure_in_words
    from client.commands.approve_intake import intake_in_words
    from client.commands.approve_text import in_words
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    proposal = read_proposal(home, federation)
    for line in (*in_words(proposal), *intake_in_words(home), *disclosure_in_words(home, proposal)):
        typer.echo(line, err=as_json)
    if not yes and not typer.confirm("\nDoes this hospital agree?", err=as_json):
        typer.echo("Nothing was approved.", err=as_json)
        raise typer.Exit(1)
    approval = approve(home, proposal)
    if as_json:
        print_json(approval)
        return
    typer.echo(
        f"\nApproved {approval.federation} for consilium {approval.version}, in {home.agreement.parent}."
    )


@site_app.command()
@explained
def adopt(
    folder: SiteArgument,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="File of a release from the coordinator.")
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Go back to the release that was in use before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Adopt without asking for a confirmation.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a release and how it does here, and take it into use once you agree.

    It is verified first, and every earlier release is kept.
    """
    from client.commands.adopt import adopt, adoption_lines, read_adoption, read_return
    from client.site_folder.places import Home
    from common.errors import OptionError

    home = Home(folder.resolve())
    if (file is None) != back:
        raise OptionError("FILE", "is missing, or stands beside --back", "give either the file or --back")
    adoption = read_return(home) if file is None else read_adoption(home, file)
    for line in adoption_lines(home, adoption):
        typer.echo(line, err=as_json)
    if not yes and not typer.confirm("\nDoes this hospital take it into use?", err=as_json):
        typer.echo("Nothing was changed.", err=as_json)
        raise typer.Exit(1)
    adopt(home, adoption)
    if as_json:
        print_json({"release": adoption.release.version})
        return
    typer.echo(
        f"\nIn use: {adoption.release.version}. Next: consilium predict {shlex.quote(str(folder))} TABLES"
    )


@site_app.command()
@explained
def intake(
    folder: SiteArgument,
    federation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Federation file, or its folder, to hold the tables against; without it, the approved one.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take in the tables by the rules in site.toml, and say what they changed.

    What stays undecided is said as well, with exit code 2. The report is kept in the site folder.
    """
    import sys

    from client.commands.intake import as_json as json_of
    from client.commands.intake import intake
    from client.site_folder.places import Home

    outcome = intake(Home(folder.resolve()), federation)
    shows_rows = sys.stdout.isatty() and not as_json
    typer.echo(json_of(outcome) if as_json else "\n".join(outcome.lines(shows_rows)))
    if outcome.problems:
        raise typer.Exit(BAD_INPUT)


@site_app.command()
@explained
def check(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Check the tables against the approved federation file, and print counts only.

    The exit code is 2 if there are problems.
    """
    from client.commands.check import check, check_lines
    from client.site_folder.places import Home

    passport = check(Home(folder.resolve()))
    typer.echo(json.dumps(passport, indent=2) if as_json else "\n".join(check_lines(passport)))
    if passport["problems"]:
        raise typer.Exit(BAD_INPUT)


@site_app.command()
@explained
def start(folder: SiteArgument) -> None:
    """Take part in the approved federation, in the foreground, until the site is stopped."""
    from client.runtime.same_account import require_same_account
    from client.runtime.services import ROOT_REMEDY, ROOT_WARNING, runs_as_root, start
    from client.site_folder.places import Home, read_connection

    home = Home(folder.resolve())
    require_same_account(home)
    coordinator = read_connection(home).coordinator
    if runs_as_root():
        typer.echo(f"WARNING: {ROOT_WARNING}; {ROOT_REMEDY}.", err=True)
    typer.echo(f"Dialling {coordinator}; logs are in {home.logs}.")
    start(home)


@site_app.command()
@explained
def app(
    folder: SiteArgument,
    socket: Annotated[
        Path,
        typer.Option(metavar="PATH", help="Socket to make, in a folder that this account alone can write."),
    ],
) -> None:
    """Train for the site's gate under an account of its own, in the foreground, until stopped.

    The gate connects to the socket that `site separate` has named.
    """
    from client.flower.process_exit import log_to_site
    from client.runtime.app_service import serve_app
    from client.site_folder.places import Home

    log_to_site()
    serve_app(Home(folder.resolve()), socket)


@site_app.command()
@explained
def separate(
    folder: SiteArgument,
    socket: Annotated[
        Path, typer.Option(metavar="PATH", help="Socket at which `consilium site app` will listen.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Have training run under another account, which can read neither node key nor receipts.

    What both accounts need is opened to the group of the site folder. It may be repeated.
    """
    from client.site_folder.accounts import separate
    from client.site_folder.places import Home

    separate(Home(folder.resolve()), socket)
    if as_json:
        print_json({"socket": socket})
        return
    typer.echo(f"The gate will ask the app at {socket}, once the site is started again.")
    start = shlex.join(["consilium", "site", "app", str(folder), "--socket", str(socket)])
    typer.echo(f"Start under the other account: {start}")


@site_app.command()
@explained
def rekey(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Replace a node key that was lost or seen by others.

    The receipts of the old key are archived.
    """
    from client.commands.rekey import rekey
    from client.site_folder.places import Home

    home = Home(folder.resolve())
    change = rekey(home)
    if as_json:
        print_json(change)
        return
    typer.echo(f"New node key: {change.new}, in place of {change.old}")
    if change.archive is not None:
        typer.echo(f"The old key's receipts are in {change.archive}, with the public key that verifies them.")
    typer.echo(f"Next: have the coordinator withdraw the old key, and enrol {home.public_key}.")


@site_app.command()
@explained
def stop(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Stop the site of this folder and all its processes, even if its supervisor was killed."""
    from client.runtime.services import state_file
    from client.site_folder.places import Home
    from common.processes.supervision import end_leftovers
    from common.processes.supervision_state import end_supervisor

    state = state_file(Home(folder.resolve()))
    ended, left = end_supervisor(state), end_leftovers(state)
    if as_json:
        print_json({"stopped": ended, "left_running": left})
    elif left:
        typer.echo(f"The supervisor had been killed; ended what it had left running: {', '.join(left)}.")
    else:
        typer.echo("Stopped." if ended else "The site does not run.")


@receipts_app.callback()
def _receipts() -> None:
    """Commands about receipts."""


@receipts_app.command()
@explained
def verify(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File receipts.jsonl, with its head file beside."),
    ],
    key: Annotated[Path, typer.Option(help="File node_key.pub of the hospital.")],
    as_json: JsonOption = False,
) -> None:
    """Verify all receipts with the public key alone: none was changed, moved or cut off."""
    from client.receipts.page import verification_text
    from client.receipts.verification import verify
    from client.site_folder.keys import read_public_key
    from common.node_keys import fingerprint

    public = read_public_key(key)
    verified = verify(file, public)
    if as_json:
        counts = {"receipts": len(verified.receipts), "beyond_head": verified.beyond_head}
        print_json({**counts, "key": fingerprint(public)})
        return
    typer.echo(f"{verification_text(verified)} Signed by {fingerprint(public)}.")


site_app.add_typer(records_app)
