"""A run of the federation, handed to Flower without code.

An interrupted run is handed over again, in the same folder and under the same name.
"""

import fcntl
import json
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import tomli_w
import typer

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.bundle import RUN as RUN_KEY
from common.agreement.bundle import bundle_hash, write_bundle
from common.agreement.folder import copy_agreement
from common.agreement.loading import load_agreement
from common.checking.checking import sound_agreement
from common.counting import are, counted
from common.errors import InputError, IntegrityError, OptionError, StateError
from common.files import write_whole
from common.word_code import word_code
from server.aggregation.registry import require_registered
from server.commands.follow import followed, lines_in
from server.home.places import ENROLLED, CoordinatorHome
from server.home.room import require_room
from server.home.run_lock import coordination
from server.participants.countersignatures import write_countersignatures
from server.participants.enrolment import (
    Enrolled,
    in_force,
    read_enrolled,
    read_withdrawn,
    withdrawn_sites,
    write_enrolled,
)
from server.participants.roster import name_nodes
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import RunRecord, read_journal
from server.records.submission import Submission, named_folder, read_submission, submitted
from server.records.wording import left_out, weights_line
from server.services.superlink import connected, require_running, run_status, stop_run, submit

BEGINS_S = 20.0
"""Seconds for the process of a run that Flower calls running to show itself."""


RESUMING = "resuming.lock"


def run_on_hospitals(home: CoordinatorHome, agreement: Path, as_json: bool, detach: bool = False) -> int:
    """Run a federation to its end, and say how it goes.

    Args:
        home: the coordinator's folder.
        agreement: the folder of the federation file.
        as_json: print the journal's records instead of sentences.
        detach: return as soon as the run is handed over.

    Returns:
        The exit code of `server.commands.follow.followed`.

    Raises:
        InputError: if the coordinator does not run or the federation cannot be read.
    """
    require_running(home)
    require_room(home.folder)
    out = _new_folder(home.runs)
    try:
        sound_agreement(agreement)
        federation = copy_agreement(agreement / FILE_NAME, out)
        require_registered(federation.training)
    except InputError:
        shutil.rmtree(out)  # it would be taken for a run
        raise
    if not as_json:
        _tell_who_is_there(home, federation)
    submission = _submit(home, out, federation)
    if not as_json:
        typer.echo(
            f"Run {out.name}: federation {federation.name}, hash {federation.digest} "
            f"({word_code(federation.digest)}); results in {out}."
        )
    if detach:
        return _detached(home, out, as_json)
    return followed(home, out, submission, as_json)


def resume_on_hospitals(
    home: CoordinatorHome, run: str, agreement: Path | None, as_json: bool, detach: bool = False
) -> int:
    """Go on with an interrupted run from its last checkpoint, and say how it goes.

    Args:
        home: the coordinator's folder.
        run: name of the run.
        agreement: folder of a federation file, which must be the run's own; None to ask for no file.
        as_json: print the journal's records instead of sentences.
        detach: return as soon as the run is handed over.

    Returns:
        The exit code of `server.commands.follow.followed`.

    Raises:
        InputError: if the run goes on or is finished, another command resumes it, its federation file, the hospitals'
            keys or its checkpoint are not those that it had, or the coordinator does not run.
    """
    from server.runs.run_checkpoint import RunCheckpoint  # brings torch, which no other command needs

    require_running(home)
    require_room(home.folder)
    out = named_folder(home.runs, run)
    with _alone(out):
        submission = submitted(out)
        federation = _same_agreement(out, submission, agreement)
        _require_unfinished(out)
        _require_ended(home, out, submission)
        _require_same_keys(home, out)
        checkpoint = RunCheckpoint(out)
        if (state := checkpoint.read()) is not None:
            checkpoint.check(state, out)
            state.resume(federation, -1, federation.training.seed)
        if not as_json:
            _tell_who_is_there(home, federation)
            rounds = 0 if state is None else state.number
            typer.echo(f"Run {out.name} goes on after {counted(rounds, 'round')}; results in {out}.")
        before = lines_in(out)
        number = submit(home, out / "bundle", out / CONFIGURATION)
        submission = submission.model_copy(
            update={
                "flower_run": number,
                "earlier": (*submission.earlier, submission.flower_run),
                "ended": None,
            }
        )
        submission.write(out)
    if detach:
        return _detached(home, out, as_json)
    return followed(home, out, submission, as_json, before)


def _detached(home: CoordinatorHome, out: Path, as_json: bool) -> int:
    if as_json:
        typer.echo(json.dumps({"run": out.name, "out": str(out)}))
    else:
        follow = shlex.join(["consilium", "coordinator", "attach", str(home.folder), out.name])
        typer.echo(f"It goes on by itself; follow it by `{follow}`.")
    return 0


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep another command from resuming the same run meanwhile.

    Raises:
        StateError: if one does.
    """
    with (out / RESUMING).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what, remedy = (
                "is being resumed by another command",
                "follow it by `consilium coordinator attach`",
            )
            raise StateError(str(out), what, remedy) from None
        yield


def _same_agreement(out: Path, submission: Submission, agreement: Path | None) -> Agreement:
    """Read the run's federation file.

    Raises:
        InputError: if it is not the one that the run began with.
    """
    federation = load_agreement(out / FILE_NAME)
    if federation.digest != submission.digest:
        what = "is not the federation file that the run began with"
        raise IntegrityError(str(out / FILE_NAME), what, "put it back from a backup, or begin a new run")
    if agreement is not None and load_agreement(agreement / FILE_NAME).digest != federation.digest:
        what = f"is another federation file than that of run {out.name}"
        raise OptionError(
            str(agreement / FILE_NAME), what, "leave it out to resume, or begin a new run with it"
        )
    return federation


def _require_unfinished(out: Path) -> None:
    records = read_journal(out) if (out / JOURNAL).is_file() else []
    runs = [record.status for record in records if isinstance(record, RunRecord)]
    if runs and runs[-1] in ("completed", "partial"):
        raise StateError(str(out), "is a finished run, and has its model", "begin a new run")


def _require_ended(home: CoordinatorHome, out: Path, submission: Submission) -> None:
    """Require that no process coordinates the run; end a submission whose process is gone.

    Raises:
        StateError: if one does.
    """
    goes_on = StateError(str(out), "goes on", "follow it by `consilium coordinator attach`, or cancel it")
    is_finished = run_status(home, submission.flower_run).startswith("finished")
    end = time.monotonic() + BEGINS_S
    while (process := coordination(out)).is_alive or not (
        is_finished or process.flower_run == submission.flower_run
    ):
        if not is_finished and process.is_alive and process.flower_run == submission.flower_run:
            raise goes_on
        if time.monotonic() >= end:
            if process.is_alive:
                raise goes_on
            break
        time.sleep(0.5)
        is_finished = run_status(home, submission.flower_run).startswith("finished")
    if not is_finished:
        stop_run(home, submission.flower_run)


def _require_same_keys(home: CoordinatorHome, out: Path) -> None:
    """Require that nobody speaks for a hospital of the run by another key than at its beginning.

    One whose key was withdrawn since has no part any more.

    Raises:
        StateError: if somebody does.
    """
    now = _enrolled(home)
    for site, enrolment in read_enrolled(out / ENROLLED).items():
        if site in now and now[site].fingerprint != enrolment.fingerprint:
            what = f"{site} has another key than when the run began"
            raise StateError(str(out / ENROLLED), what, "begin a new run, in which the new key counts")


CONFIGURATION = "run-config.toml"


def _new_folder(runs: Path) -> Path:
    """A folder named after the time, to the second and made unique."""
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        out = runs / (name if number == 1 else f"{name}-{number}")
        try:
            out.mkdir()
        except FileExistsError:
            number += 1
        else:
            return out


def _submit(home: CoordinatorHome, out: Path, federation: Agreement) -> Submission:
    """Write what the run needs into its folder, and hand it to Flower."""
    config = out / CONFIGURATION
    enrolled = _enrolled(home)
    write_enrolled(out / ENROLLED, enrolled)
    write_countersignatures(home, out, enrolled, _earlier(home.runs))
    write_whole(config, tomli_w.dumps({RUN_KEY: out.name}).encode())
    write_bundle(out / "bundle", federation)
    submission = Submission(
        id=out.name,
        flower_run=submit(home, out / "bundle", config),
        digest=federation.digest,
        bundle=bundle_hash(federation),
        submitted=datetime.now(UTC).isoformat(timespec="seconds"),
        named=True,
    )
    submission.write(out)
    return submission


def _earlier(runs: Path) -> list[tuple[str, Path]]:
    """List (name in receipts, folder) of the runs handed to Flower, in their order."""
    handed = [(read_submission(folder), folder) for folder in runs.iterdir() if folder.is_dir()]
    in_order = sorted(
        (run.submitted, folder.name, folder.name if run.named else str(run.flower_run))
        for run, folder in handed
        if run
    )
    return [(label, runs / name) for _, name, label in in_order]


def _tell_who_is_there(home: CoordinatorHome, federation: Agreement) -> None:
    """Say which participants the run will wait for."""
    enrolled = _enrolled(home)
    named = name_nodes(federation, enrolled, withdrawn_sites(enrolled, read_withdrawn(home.withdrawn)))
    online = connected(home)
    away = sorted(site for node, site in named.sites.items() if node not in online)
    there = len(named.sites) - len(away)
    typer.echo(
        f"{there} of {counted(len(federation.participants), 'hospital')} {are(there)} connected, "
        f"{federation.quorum} {are(federation.quorum)} needed."
    )
    typer.echo(weights_line(federation))
    for hospital in named.left_out:
        typer.echo(f"  {left_out(hospital)}")
    if away:
        typer.echo(f"  {_wait(there, federation)} for {', '.join(away)}.")


def _enrolled(home: CoordinatorHome) -> Enrolled:
    return in_force(read_enrolled(home.enrolled), read_withdrawn(home.withdrawn))


def _wait(there: int, federation: Agreement) -> str:
    rounds = federation.rounds
    together = f"up to {min(rounds.assembly_s, rounds.deadline_s):g} s"
    if there >= federation.quorum:
        return f"Waiting {together}"
    return f"Waiting up to {rounds.deadline_s:g} s for a quorum, and once it is there {together}"
