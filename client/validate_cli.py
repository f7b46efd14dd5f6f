"""Command `consilium validate` of a hospital."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from client.cli_arguments import SiteArgument
from common.console import explained
from common.errors import OptionError
from common.json_output import JsonOption, print_json

validate_app = typer.Typer(add_completion=False)


@validate_app.command()
@explained
def validate(
    folder: SiteArgument,
    tables: Annotated[
        Path | None,
        typer.Argument(metavar="TABLES", help="Folder with tables of other patients, outcomes among them."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First day, as YYYY-MM-DD, by the column of dates in site.toml.")
    ] = None,
    horizon: Annotated[
        list[float] | None,
        typer.Option(help="Time by which the risk is judged, in the unit of the outcome; may be repeated."),
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(help="Risk from which patients would be treated, such as 0.1; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for validation.json and validation.html, readable by you alone."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the adopted release on this hospital's labelled patients who did not train it.

    At a hospital that had a part in the run these are held-out patients of its split, and with TABLES those who are not
    in the site folder's tables; at any other hospital all of them.
    """
    from client.commands.validate import validate_into
    from client.site_folder.places import Home
    from client.validation.lines import report_lines
    from common.validation.net_benefit import THRESHOLDS

    day = None if since is None else _day(since)
    home = Home(folder.resolve())
    report = validate_into(home, tables, day, horizon or [], threshold or THRESHOLDS, out)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(report_lines(report.labelled)))
    if out is not None:
        typer.echo(f"\nWritten to {out}.", err=as_json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OptionError(f"--since {text}", "is no date", "write it as YYYY-MM-DD") from None
