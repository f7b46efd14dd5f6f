"""Console command `consilium`, which imports a subcommand's packages when it is called.

A hospital installs the packages of the site's part alone, so that `consilium site` must not import a simulation.
"""

import platform
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

from common.lifetime.system import require_system

require_system()  # before anything is imported that another system may lack

import click  # noqa: E402
import typer  # noqa: E402
from typer.core import TyperGroup  # noqa: E402

from common.console import BAD_INPUT, failure_text  # noqa: E402
from common.lifetime.output import outlasting_output  # noqa: E402

SUBCOMMANDS = {
    "simulate": "simulations.cli:simulate_app",
    "poc": "simulations.commands.poc:poc_app",
    "compare": "simulations.commands.compare:compare_app",
    "tune": "simulations.commands.tune:tune_app",
    "federation": "consilium.federation_cli:federation_app",
    "cohort": "simulations.cli:cohort_app",
    "site": "client.cli:site_app",
    "receipts": "client.cli:receipts_app",
    "predict": "client.predict_cli:predict_app",
    "validate": "client.validate_cli:validate_app",
    "release": "consilium.release_cli:release_app",
    "coordinator": "server.cli:coordinator_app",
    "privacy": "simulations.commands.privacy:privacy_app",
    "plugins": "consilium.plugins_cli:plugins_app",
    "bench": "simulations.commands.bench:bench_app",
}
"""Module and name of the subcommands, in the order of the help."""


class LazyGroup(TyperGroup):
    """Group of subcommands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all subcommands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; None where there is none of this name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, _, attribute = SUBCOMMANDS[cmd_name].partition(":")
        command: Any = typer.main.get_command(getattr(import_module(module), attribute))
        command.name = cmd_name
        return command  # type: ignore[no-any-return]


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Federated learning across hospitals on multimodal patient graphs: only weights leave the building.",
)


def _print_versions(wanted: bool) -> None:
    """Print the versions of what decides about results, and end."""
    if wanted:
        for name in ("consilium", "flwr", "torch"):
            typer.echo(f"{name} {version(name)}")
        typer.echo(f"Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _consilium(
    versions: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_versions,
            is_eager=True,
            help="Print the versions of Consilium, Flower, PyTorch and Python.",
        ),
    ] = False,
) -> None:
    """Exit with code 2 and one sentence on bad input, in every subcommand."""


def main() -> None:
    """Run the console command, and flush its output.

    Raises:
        SystemExit: with the command's exit code, or that of bad input if its output could not be written.
    """
    code: str | int | None = 0
    try:
        with outlasting_output():
            try:
                app()
            except SystemExit as ended:
                code = ended.code
    except OSError as error:
        error.filename = "standard output"
        print(f"consilium: {failure_text(error)}", file=sys.stderr)
        code = code or BAD_INPUT
    raise SystemExit(code)
