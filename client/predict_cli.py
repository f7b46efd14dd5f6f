"""Command `consilium predict` of a hospital."""

from pathlib import Path
from typing import Annotated

import typer

from client.cli_arguments import SiteArgument
from common.console import explained

predict_app = typer.Typer(add_completion=False)


@predict_app.command()
@explained
def predict(
    folder: SiteArgument,
    tables: Annotated[
        list[Path],
        typer.Argument(metavar="TABLES...", help="Modalities' tables, or a folder that holds them."),
    ],
    horizon: Annotated[
        list[float] | None,
        typer.Option(help="Time by which the risk is asked, in the unit of the outcome; may be repeated."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which values, pathways and modalities make each forecast.")
    ] = False,
    enrichment: Annotated[
        bool,
        typer.Option(
            "--enrichment",
            help="With --explain, say in which pathways the genes that matter most lie: ten patients at least.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="File to write, readable by you alone; without it, the terminal.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
    as_html: Annotated[
        bool, typer.Option("--html", help="Write a page for each patient, with the reasons, into --out.")
    ] = False,
) -> None:
    """Predict for one or many patients with the adopted release; no outcomes are needed.

    A forecast names its patient: it goes to a terminal, or into the file of --out. The exit code is 3 if some patients
    are not predicted because of their tables, and 2 if nobody is.
    """
    from client.commands.predict import Form, predict, require_outlet, write_forecasts
    from client.site_folder.places import Home

    form = Form.of(as_json, as_html)
    require_outlet(out, form)
    explain = explain or form is Form.HTML
    forecasts = predict(Home(folder.resolve()), tables, horizon or [], explain, out, enrichment)
    if out is None:
        typer.echo(form.write(forecasts))
    else:
        write_forecasts(forecasts, out, form)
        typer.echo(f"Written to {out}.")
    if forecasts.unpredicted:
        typer.echo(f"consilium: no prediction {forecasts.withheld}.", err=True)
        raise typer.Exit(forecasts.exit_code)
