"""Commands of `consilium site` that show a hospital what it has, what left and how it did."""

import json
from pathlib import Path
from typing import Annotated

import typer

from client.cli_arguments import SiteArgument
from common.console import BAD_INPUT, explained
from common.json_output import JsonOption

records_app = typer.Typer(add_completion=False)


@records_app.command()
@explained
def profile(
    folder: SiteArgument,
    federation: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of a federation file, or the file; without it, the one that was approved.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File for the page; without it, profile/profile.html in the site folder."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show medians, gaps and outliers of the tables beside the federation's ranges.

    A wrong unit shows here. Nothing of it leaves the hospital: do not send it.
    """
    from client.profile.page import page_path, profile_page
    from client.profile.profile import profile
    from client.profile.text import profile_lines
    from client.site_folder.places import Home
    from common.files import write_whole

    home = Home(folder.resolve())
    figures = profile(home, federation)
    page = page_path(home.folder) if html is None else html
    write_whole(page, profile_page(figures).encode(), mode=0o600)
    if as_json:
        typer.echo(figures.model_dump_json(indent=2))
        return
    for line in profile_lines(figures):
        typer.echo(line)
    typer.echo(f"Page, for this hospital alone: {page}")


@records_app.command()
@explained
def status(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Print the approved federation, the running processes, and when the last message left."""
    from client.commands.status import status, status_lines
    from client.site_folder.places import Home

    state = status(Home(folder.resolve()))
    typer.echo(state.model_dump_json(indent=2) if as_json else "\n".join(status_lines(state)))


@records_app.command()
@explained
def report(
    folder: SiteArgument,
    run: Annotated[
        int | None,
        typer.Argument(
            metavar="RUN", help="Number of the run, as in the receipts; without it, the last run."
        ),
    ] = None,
    is_own: Annotated[
        bool, typer.Option("--own/--no-own", help="Train the hospital's own model here, to compare.")
    ] = True,
    html: Annotated[
        Path | None, typer.Option(help="File for the page; without it, SITE/reports/RUN.html.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report a run to this hospital alone: its own and the federated model on its patients."""
    from client.commands.report import report_into
    from client.reports.lines import report_lines
    from client.site_folder.places import Home

    made, path = report_into(Home(folder.resolve()), run, is_own, html)
    typer.echo(made.model_dump_json(indent=2) if as_json else "\n".join(report_lines(made)))
    if not as_json:
        typer.echo(f"Page: {path}")


@records_app.command()
@explained
def receipts(
    folder: SiteArgument,
    html: Annotated[
        Path | None,
        typer.Option(help="File for one HTML page; without it, they are printed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify and print the signed record of every message that left."""
    from client.receipts.page import as_data, as_lines, page, read_receipts, verification_text
    from client.site_folder.places import Home
    from common.files import write_whole

    home = Home(folder.resolve())
    verified = read_receipts(home)
    if html is not None:
        write_whole(html, page(home, verified).encode())
    if as_json:
        typer.echo(json.dumps(as_data(verified), indent=2))
        return
    for line in as_lines(verified.receipts):
        typer.echo(line)
    summary = verification_text(verified)
    typer.echo(summary if html is None else f"{summary} Written to {html}.")


@records_app.command()
@explained
def doctor(folder: SiteArgument, as_json: JsonOption = False) -> None:
    """Check everything that could keep this site from taking part, with remedies.

    The exit code is 2 if a check fails.
    """
    from client.doctor.examination import examine, findings_lines
    from client.site_folder.places import Home

    findings = examine(Home(folder.resolve()))
    if as_json:
        typer.echo(json.dumps([finding.model_dump() for finding in findings], indent=2))
    else:
        typer.echo("\n".join(findings_lines(findings)))
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(BAD_INPUT)


@records_app.command()
@explained
def ledger(
    folder: SiteArgument,
    note: Annotated[
        str | None,
        typer.Option(
            "--acknowledge",
            metavar="NOTE",
            help="Go on after ledger, records or receipts were lost, damaged or restored from a backup: everything "
            "that is still known to be spent is carried over, and NOTE, which says what happened, is kept.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the cohort's privacy budget: spent, by run, and remaining.

    No patient's data is read.
    """
    from client.commands.acknowledge import acknowledge_site
    from client.ledger.account_text import show
    from client.site_folder.places import Home

    acknowledged = None if note is None else acknowledge_site(Home(folder.resolve()), note)
    if acknowledged is not None and not as_json:
        for line in acknowledged.lines():
            typer.echo(line)
    show(folder, acknowledged is not None and acknowledged.ledger_begun, as_json)
