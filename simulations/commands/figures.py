"""Figures of a benchmark as a table for people, or as JSON for programs."""

from collections.abc import Callable
from typing import TypeVar

import typer

from common.json_output import print_json

Measured = TypeVar("Measured")


def show(measured: Measured, table: Callable[[Measured], str], as_json: bool) -> None:
    """Print figures: their table, or all of them as JSON."""
    if as_json:
        print_json(measured)
    else:
        typer.echo(table(measured))
