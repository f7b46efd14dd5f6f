"""A run of the federation, handed to Flower without code and followed in its journal."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import tomli_w
import typer
from pydantic import BaseModel, ConfigDict

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.bundle import RUN as RUN_KEY
from common.agreement.bundle import bundle_hash, write_bundle
from common.agreement.folder import copy_agreement
from common.counting import are, counted
from common.errors import InputError, OptionError
from common.files import write_whole
from common.lifetime.signals import cause, exit_code
from server.aggregation.registry import require_registered
from server.home.places import ENROLLED, CoordinatorHome
from server.home.room import require_room
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
from server.records.apart import STOPPED, apart_lines, uncompared
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import AssessmentRecord, JournalRecord, RoundRecord, RunRecord, read_record
from server.records.wording import (
    assessment_line,
    exchange_line,
    idle,
    left_out,
    missing,
    run_line,
    weights_line,
)
from server.services.superlink import connected, require_running, run_log, run_status, stop_run, submit

RUN, LOG = "run.json", "run.log"


POLL_S = 0.5
"""Seconds between two looks at the journal."""


STATUS_EVERY_S = 15.0
"""Seconds between two questions to Flower whether the run has ended without the journal saying so."""


FAILED, PARTIAL, APART = 1, 3, 4


class Submission(BaseModel):
    """Content of `run.json`: Flower's number of the run, and what hospitals approve.

    `ended` is set by who followed it to its end: how it ended, or `interrupted`.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    flower_run: int
    digest: str
    bundle: str
    submitted: str
    ended: str | None = None

    def write(self, out: Path) -> None:
        """Write `run.json` into the run's folder, whole or not at all."""
        write_whole(out / RUN, self.model_dump_json(indent=2).encode() + b"\n")


def read_submission(out: Path) -> Submission | None:
    """Read `run.json` in a run's folder; None if the run was never handed to Flower."""
    path = out / RUN
    return Submission.model_validate_json(path.read_bytes()) if path.is_file() else None


def run_on_hospitals(home: CoordinatorHome, agreement: Path, as_json: bool) -> int:
    """Run a federation to its end, and say how it goes.

    Args:
        home: the coordinator's folder.
        agreement: the folder of the federation file.
        as_json: print the journal's records instead of sentences.

    Returns:
        0 if the run completed, `PARTIAL` if a round lacked a quorum, `FAILED` if there is no model, `APART` if it was
        ended because hospitals lie far apart and the federation file says `stop`, and 128 and the signal's number if it
        was ended by one.

    Raises:
        InputError: if the coordinator does not run or the federation cannot be read.
    """
    require_running(home)
    require_room(home.folder)
    out = _new_folder(home.runs)
    try:
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
            f"Run {out.name}: federation {federation.name}, hash {federation.digest}; results in {out}."
        )
    last: RunRecord | None = None
    try:
        for record in follow(home, out, submission.flower_run):
            typer.echo(record.model_dump_json() if as_json else _line(record, federation))
            last = record if isinstance(record, RunRecord) else last
    except KeyboardInterrupt as interruption:
        stop_run(home, submission.flower_run)
        submission.model_copy(update={"ended": "interrupted"}).write(out)
        ended = f"{cause(interruption)}; run {out.name} was ended and has no model."
        typer.echo(f"consilium: {ended}", err=True)
        return exit_code(interruption)
    status = "failed" if last is None or last.status == "started" else last.status
    submission.model_copy(update={"ended": status}).write(out)
    if status in ("completed", "partial"):
        return 0 if status == "completed" else PARTIAL
    if last is not None and last.apart and federation.statistics.far == "stop":
        typer.echo(f"consilium: {STOPPED}", err=True)
        return APART
    write_whole(out / LOG, run_log(home, submission.flower_run).encode())
    typer.echo(f"consilium: the run gave no model; {out / LOG} says more.", err=True)
    require_room(home.folder)  # which explains the end of a run that had none
    return FAILED


def last_folder(runs: Path) -> Path | None:
    """The folder of the run that was begun or changed last."""
    folders = [path for path in runs.iterdir() if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_ctime_ns) if folders else None


def named_folder(runs: Path, run: str) -> Path:
    """Return the folder of a run by its name.

    Raises:
        OptionError: if there is no such run.
    """
    names = sorted(path.name for path in runs.iterdir() if path.is_dir())
    if run not in names:
        raise OptionError(
            str(runs), f"there is no run {run}", f"the last ones are {', '.join(names[-3:]) or 'none'}"
        )
    return runs / run


def follow(home: CoordinatorHome, out: Path, flower_run: int) -> Iterator[JournalRecord]:
    """The records of a run's journal as they are written, until the run has ended."""
    read, asked, over = 0, time.monotonic(), False
    while True:
        for record in _records(out, read):
            read += 1
            yield record
            if isinstance(record, RunRecord) and record.status != "started":
                return
        if over:  # asked before the journal was read for the last time
            return
        time.sleep(POLL_S)
        if time.monotonic() - asked >= STATUS_EVERY_S:
            over, asked = _over(home, flower_run), time.monotonic()


def _over(home: CoordinatorHome, flower_run: int) -> bool:
    """Whether Flower has ended the run; False while the SuperLink is being restarted."""
    try:
        return run_status(home, flower_run).startswith("finished")
    except InputError:
        require_running(home)
        return False


def _records(out: Path, skip: int) -> Iterator[JournalRecord]:
    if not (out / JOURNAL).is_file():
        return
    for line in (out / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True)[skip:]:
        if line.endswith("\n"):  # else it is still being written
            yield read_record(line)


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
    config = out / "run-config.toml"
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
    )
    submission.write(out)
    return submission


def _earlier(runs: Path) -> list[tuple[int, Path]]:
    """List (Flower's number, folder) of the runs that were handed to Flower, in their order."""
    submitted = [(read_submission(folder), folder) for folder in runs.iterdir() if folder.is_dir()]
    in_order = sorted((run.submitted, folder.name, run.flower_run) for run, folder in submitted if run)
    return [(number, runs / name) for _, name, number in in_order]


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


def _line(record: JournalRecord, federation: Agreement) -> str:
    if isinstance(record, RoundRecord):
        return exchange_line(record, federation)
    if isinstance(record, AssessmentRecord):
        return assessment_line(record)
    started = record.status == "started"
    apart = [*apart_lines(record.apart), *uncompared(federation)] if started else []
    return "\n".join([run_line(record, federation), *missing(record, federation), *apart, *idle(record)])
