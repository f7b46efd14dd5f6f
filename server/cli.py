"""The command `consilium coordinator`: what runs a federation's meeting point and its runs."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.extras import require_extra
from common.json_output import JsonOption, print_json
from server.cli_arguments import HomeArgument, require_strategy
from server.runs_cli import runs_app

coordinator_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run the coordinator of a federation, which never receives patient data.",
)


@coordinator_app.command()
@explained
def init(
    folder: HomeArgument,
    host: Annotated[str, typer.Option(help="Host name or IP address to which hospitals connect.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to which hospitals connect.")] = 9443,
    federation: Annotated[
        Path | None, typer.Option(help="Folder with federation.toml to copy; without it, a draft is written.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a coordinator's folder with a new certificate authority; no file is overwritten."""
    from common.agreement.agreement import FILE_NAME
    from common.agreement.loading import load_agreement
    from common.word_code import word_code
    from server.home.places import create_home
    from server.records.wording import weights_line

    if federation is not None:
        require_strategy(federation)
    home = create_home(folder, host, port, federation)
    if as_json:
        places = {"home": home.folder, "authority": home.authority, "federation": home.agreement}
        print_json({**places, "address": home.settings().address})
        return
    typer.echo(f"Made {home.folder}.")
    typer.echo(
        f"Every hospital needs {home.authority} and the folder {home.agreement}, and the address "
        f"{home.settings().address}."
    )
    agreement = load_agreement(home.agreement / FILE_NAME)
    typer.echo(f"Its hash is {agreement.digest} ({word_code(agreement.digest)}).")
    typer.echo(weights_line(agreement))
    typer.echo(f"Next: {shlex.join(['consilium', 'coordinator', 'start', str(folder)])}")


@coordinator_app.command()
@explained
def start(folder: HomeArgument, as_json: JsonOption = False) -> None:
    """Run the coordinator in the foreground until it is stopped."""
    from common.errors import InputError
    from server.commands.attach import interrupted_run
    from server.commands.enrol import keep_public_keys
    from server.home.places import open_home
    from server.home.tracking_settings import require_sinks
    from server.services.processes import start

    home, began = open_home(folder), time.monotonic()
    if (tracking := home.settings().tracking) is not None:
        require_sinks(tracking)
    require_strategy(home.agreement, draft=True)
    settings = home.settings()

    def ready() -> None:
        try:
            keep_public_keys(home)
        except InputError as error:
            typer.echo(
                f"WARNING: hospitals that an earlier version enrolled are not let in: {error}", err=True
            )
        seconds, address = round(time.monotonic() - began, 1), settings.address
        if as_json:
            print_json({"ready_after_s": seconds, "address": address})
        else:
            typer.echo(f"Ready after {seconds} s: hospitals dial {address}.")
            if (sentence := interrupted_run(home)) is not None:
                typer.echo(sentence)

    start(home, ready)


@coordinator_app.command()
@explained
def stop(folder: HomeArgument, as_json: JsonOption = False) -> None:
    """End the coordinator of this folder and its processes, even if its supervisor was killed."""
    from common.processes.supervision import end_leftovers
    from common.processes.supervision_state import end_supervisor
    from server.home.places import open_home

    state = open_home(folder).services
    ended, left = end_supervisor(state), end_leftovers(state)
    if as_json:
        print_json({"stopped": ended or bool(left), "leftovers": left})
    elif left:
        typer.echo(f"The supervisor had been killed; ended what it had left running: {', '.join(left)}.")
    else:
        typer.echo("Stopped." if ended else "It does not run.")


@coordinator_app.command()
@explained
def status(folder: HomeArgument, as_json: JsonOption = False) -> None:
    """Print which processes run, which hospitals are connected and how the last run went."""
    from server.commands.status import status_of, status_text
    from server.home.places import open_home

    state = status_of(open_home(folder))
    typer.echo(state.model_dump_json(indent=2) if as_json else status_text(state))


@coordinator_app.command()
@explained
def logs(
    folder: HomeArgument,
    service: Annotated[
        str | None,
        typer.Argument(
            help="Service whose log is printed: superlink, superexec, proxy or tracker; without it, all of them."
        ),
    ] = None,
    lines: Annotated[int, typer.Option(min=1, help="Number of last lines to print.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of the services' logs."""
    from common.errors import OptionError, escaped
    from server.home.places import open_home
    from server.services.logs import last_lines, services_of

    home = open_home(folder)
    services = services_of(home)
    if service is not None and service not in services:
        raise OptionError(service, "is no service", f"name one of {', '.join(services)}")
    logged = {name: last_lines(home, name, lines) for name in (services if service is None else (service,))}
    if as_json:
        print_json(logged)
        return
    for name, last in logged.items():
        shown = [escaped(line) for line in last]
        typer.echo("\n".join([f"== {name}", *shown] if service is None else shown))


@coordinator_app.command()
@explained
def dashboard(
    folder: HomeArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any.")] = 9480,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any that others can reach needs a token, and is served with TLS."
        ),
    ] = "127.0.0.1",
    new_token: Annotated[
        bool,
        typer.Option(
            "--new-token", help="Make a token in place of an earlier one, print it this once, and end."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show browsers the hospitals, the runs and the logs; nothing can be changed there.

    Once a token was made, every browser is asked for it, as a password of any user name.
    """
    from server.home.places import open_home

    home = open_home(folder)
    require_extra("coordinator", "consilium coordinator dashboard")
    from server.dashboard.access import new_token as make_token
    from server.dashboard.serving import serve

    if new_token:
        token = make_token(home)
        if as_json:
            print_json({"token": token})
        else:
            typer.echo(f"Token of the dashboard, which is not shown again: {token}")
        return

    def ready(address: str) -> None:
        if as_json:
            print_json({"address": address})
        else:
            typer.echo(f"Dashboard: {address} (Ctrl-C ends it)")

    serve(home, host, port, ready)


@coordinator_app.command()
@explained
def enrol(
    folder: HomeArgument,
    site: Annotated[str, typer.Argument(help="The hospital's name, as in the federation file.")],
    public_key: Annotated[
        Path,
        typer.Argument(help="File node_key.pub of the hospital; first compare fingerprints by telephone."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Register a hospital's public key under its name."""
    from server.commands.enrol import enrol_site
    from server.home.places import open_home

    enrolment = enrol_site(open_home(folder), site, public_key)
    if as_json:
        print_json({"site": site, **enrolment.model_dump(exclude={"public_key"})})
    else:
        typer.echo(f"Enrolled {site} with the key {enrolment.fingerprint}.")


@coordinator_app.command()
@explained
def withdraw(
    folder: HomeArgument,
    site: Annotated[str, typer.Argument(help="The hospital's name, as it was enrolled.")],
    as_json: JsonOption = False,
) -> None:
    """Withdraw a hospital and its key for ever, when it leaves or the key was lost or stolen."""
    from server.commands.enrol import withdraw_site
    from server.home.places import open_home
    from server.services.superlink import runs_in_progress

    home = open_home(folder)
    running, withdrawal = runs_in_progress(home), withdraw_site(home, site)
    if as_json:
        print_json({**withdrawal.model_dump(), "run_in_progress": bool(running)})
        return
    typer.echo(f"Withdrew {site}: the key {withdrawal.fingerprint} is refused from now on, under every name.")
    if running:
        typer.echo(
            "A run is in progress: it goes on without this hospital from the round at hand; what the hospital "
            "contributed to earlier rounds stays in the model."
        )
    enrol = shlex.join(["consilium", "coordinator", "enrol", str(folder), withdrawal.site, "node_key.pub"])
    typer.echo(f"With a new key it can come back: {enrol}")


@coordinator_app.command()
@explained
def renew(folder: HomeArgument, as_json: JsonOption = False) -> None:
    """Renew the certificate of the coordinator's address; hospitals have nothing to do."""
    from server.commands.renew import expiry, renew
    from server.home.places import open_home

    home = open_home(folder)
    is_served, until = renew(home), expiry(home)
    if as_json:
        print_json({"served": is_served, **until.model_dump()})
        return
    when = "and is served now" if is_served else "and will be served once the coordinator is started"
    typer.echo(f"The new certificate holds until {until.certificate_until}, {when}.")
    for warning in until.warnings:
        typer.echo(f"WARNING: {warning}.")


coordinator_app.add_typer(runs_app)
