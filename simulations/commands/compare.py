"""Command `consilium compare`: paired differences between two results or runs."""

from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import needs
from common.json_output import JsonOption, print_json

compare_app = typer.Typer(add_completion=False)


NOT_PAIRED = 1
"""Exit code where the two cannot be paired."""


@compare_app.command()
@explained
@needs("simulate", "consilium compare")
def compare(
    first: Annotated[
        Path, typer.Argument(help="Result of a simulation, its folder, or the folder of a finished run.")
    ],
    second: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    html: Annotated[Path | None, typer.Option("--html", help="File to write a page to.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two simulations fold by fold, or two runs hospital by hospital, with intervals.

    Exits with 1, and says why, if they did not hold out the same patients.
    """
    from common.files import write_whole
    from simulations.comparing.report import comparison_page, comparison_text
    from simulations.comparing.sources import compared, read_side

    comparison = compared(read_side(first), read_side(second))
    if html is not None:
        write_whole(html, comparison_page(comparison).encode())
    if as_json:
        print_json(comparison)
    else:
        typer.echo(comparison_text(comparison))
    if comparison.reasons:
        raise typer.Exit(NOT_PAIRED)
