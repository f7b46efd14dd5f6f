"""The command `consilium coordinator`: what runs a federation's meeting point and its runs."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.counting import counted
from common.errors import StateError
from common.extras import require_extra
from common.json_output import JsonOption, print_json

coordinator_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run the coordinator of a federation, which never receives patient data.",
)


HomeArgument = Annotated[Path, typer.Argument(metavar="HOME", help="The coordinator's folder.")]


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
        _require_strategy(federation)
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
    _require_strategy(home.agreement, draft=True)
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
def track(
    folder: HomeArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of the run's folder; without it, the last run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send a run to the sinks that `coordinator.toml` names under tracking.

    What a sink has already is not sent again. A coordinator that runs sends the runs that begin by itself; this is for
    earlier ones.
    """
    from server.home.places import SETTINGS, open_home
    from server.records.submission import last_folder, named_folder
    from server.tracking.tracker import Tracker, read_tracking, sinks_of

    home = open_home(folder)
    out = last_folder(home.runs) if run is None else named_folder(home.runs, run)
    if out is None:
        raise StateError(str(home.runs), "there is no run yet", "start one by `consilium coordinator run`")
    settings = home.settings().tracking
    sinks = [] if settings is None else sinks_of(home, settings)
    if settings is None or not sinks:
        raise StateError(
            str(home.folder / SETTINGS), "names no sink", "add `mlflow` or `tensorboard` to [tracking]"
        )
    troubles: list[str] = []
    is_sent = Tracker(home, sinks, settings.hospitals, troubles.append).send(out)
    states = read_tracking(out).sinks
    if as_json:
        print_json(
            {
                "run": out.name,
                "sent": is_sent,
                "sinks": {name: state.model_dump() for name, state in states.items()},
            }
        )
    else:
        for name, state in states.items():
            typer.echo(
                f"{name} has {counted(state.logged, 'exchange')} of run {out.name} as {state.reference}."
            )
    for trouble in troubles:
        typer.echo(f"consilium: {trouble}", err=True)
    if not is_sent:
        raise typer.Exit(1)


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


@coordinator_app.command()
@explained
def receipts(
    folder: HomeArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of the run's folder; without it, the last run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print every hospital's share in the rounds of a run, and why a hospital had none."""
    from server.commands.receipts import contributions_text, receipts_of
    from server.home.places import open_home

    contributions = receipts_of(open_home(folder), run)
    typer.echo(contributions.model_dump_json(indent=2) if as_json else contributions_text(contributions))


@coordinator_app.command()
@explained
def report(
    folder: HomeArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of the run's folder; without it, the last run.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="File for the page; without it, report.html in the run's folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report a run: hospitals by round, curves, test and patients, as text and as a page."""
    from server.commands.report import report_of
    from server.home.places import open_home
    from server.reports.lines import report_lines
    from server.reports.writing import PAGE, write_report

    out, made = report_of(open_home(folder), run)
    write_report(made, html or out / PAGE)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
        return
    typer.echo("\n".join(report_lines(made)))
    typer.echo(f"Page: {html or out / PAGE}")


@coordinator_app.command()
@explained
def run(
    folder: HomeArgument,
    federation: Annotated[
        Path | None,
        typer.Argument(
            metavar="FEDERATION_FOLDER", help="Folder with federation.toml; without it, HOME/federation."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on with this interrupted run from its last finished round, with its own federation file.",
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the run is begun; `attach` follows it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the federation with the hospitals that are connected, and follow it round by round.

    Exits with 0 if every round had its quorum, 3 if not, and 1 if there is no model. Ctrl-C ends the run, and its
    finished rounds are kept for `--resume`.
    """
    from server.commands.run import resume_on_hospitals, run_on_hospitals
    from server.home.places import open_home

    home = open_home(folder)
    if resume is None:
        code = run_on_hospitals(home, federation or home.agreement, as_json, detach)
    else:
        code = resume_on_hospitals(home, resume, federation, as_json, detach)
    if code != 0:
        raise typer.Exit(code)


@coordinator_app.command()
@explained
def attach(
    folder: HomeArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of the run's folder; without it, the last run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a run that goes on, from its first round; Ctrl-C leaves it going.

    Exits as `run` does: with 0 if every round had its quorum, 3 if not, and 1 if there is no model.
    """
    from server.commands.attach import attach
    from server.home.places import open_home

    if (code := attach(open_home(folder), run, as_json)) != 0:
        raise typer.Exit(code)


@coordinator_app.command()
@explained
def cancel(
    folder: HomeArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of the run's folder; without it, the last run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """End a run that goes on; its finished rounds are kept, and it can be resumed."""
    from server.commands.attach import cancel
    from server.commands.follow import how_to_go_on, resume_command
    from server.home.places import open_home

    home = open_home(folder)
    out = cancel(home, run)
    if as_json:
        print_json({"run": out.name, "resume": resume_command(home, out.name)})
    else:
        typer.echo(f"Cancelled run {out.name}: {how_to_go_on(home, out)}")


@coordinator_app.command()
@explained
def release(
    folder: HomeArgument,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run's folder in HOME/runs.")],
    out: Annotated[Path, typer.Option(help="File to write, which hospitals adopt.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Add the model as ONNX for other runtimes; needs the extra onnx.")
    ] = False,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="RUN",
            help="Another run, whose federation file differs in training.seed alone: the mean of them is predicted. "
            "Repeat it, for three runs at least with the first.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Release the model of a finished run as one signed file with a version.

    The same run has the same version, and gives the same file.
    """
    from server.commands.release import release
    from server.home.places import open_home

    manifest = release(open_home(folder), run, out, onnx, others or [])
    if as_json:
        print_json({"version": manifest.version, "sha256": manifest.sha256, "file": out})
        return
    typer.echo(f"Released {manifest.version} in {out}; its manifest has the SHA-256 {manifest.sha256}.")
    typer.echo(f"Next, at a hospital: {shlex.join(['consilium', 'site', 'adopt', 'SITE', str(out)])}")


@coordinator_app.command()
@explained
def revoke(
    folder: HomeArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Version of a release, such as lung-1.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a release: hospitals that adopt a later one predict with it no more."""
    from server.commands.release import revoke
    from server.home.places import open_home

    revoke(open_home(folder), version)
    if as_json:
        print_json({"revoked": version})
        return
    typer.echo(f"Revoked {version}; the next release tells the hospitals that adopt it.")
    typer.echo("Until then, ask them to go back: consilium site adopt SITE --back")


def _require_strategy(agreement: Path, draft: bool = False) -> None:
    """Make sure that the strategy of an agreement is registered; a draft may be unreadable yet."""
    from common.agreement.agreement import FILE_NAME
    from common.agreement.loading import load_agreement
    from common.errors import InputError
    from server.aggregation.registry import require_registered

    try:
        federation = load_agreement(agreement / FILE_NAME)
    except InputError:
        if draft:  # `coordinator run` reads the file again, and says what to correct
            return
        raise
    require_registered(federation.training)
