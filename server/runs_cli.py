"""Commands of `consilium coordinator` about runs and their models."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from common.console import explained
from common.counting import counted
from common.errors import StateError
from common.json_output import JsonOption, print_json
from server.cli_arguments import HomeArgument

runs_app = typer.Typer(add_completion=False)


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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


@runs_app.command()
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
