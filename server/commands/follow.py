"""A run followed in its journal, from its submission or later, to its end."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import typer

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement
from common.counting import counted
from common.errors import InputError
from common.files import write_whole
from common.lifetime.signals import cause, exit_code
from server.home.places import CoordinatorHome
from server.home.room import require_room
from server.home.run_lock import coordination
from server.records.apart import STOPPED, apart_lines, uncompared
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import (
    UNFINISHED,
    AssessmentRecord,
    JournalRecord,
    RoundRecord,
    RunRecord,
    read_journal,
    read_record,
    rounds_kept,
)
from server.records.submission import Submission, submitted
from server.records.wording import assessment_line, exchange_line, idle, missing, run_line
from server.services.superlink import require_running, run_log, run_status, stop_run

LOG = "run.log"


POLL_S = 0.5
"""Seconds between two looks at the journal."""


STATUS_EVERY_S = 15.0
"""Seconds between two questions to Flower whether the run has ended without the journal saying so."""


FAILED, PARTIAL, APART = 1, 3, 4


RunState = Literal["waiting", "started", "interrupted", "completed", "partial", "failed", "cancelled"]


def state_of(out: Path, run: RunRecord | None, submission: Submission | None) -> RunState:
    """Say how far a run is, by its folder alone.

    A run of which the process has ended without a word is interrupted, before Flower notices.

    Args:
        out: the run's folder.
        run: as its latest record in the journal has it; None before the first.
        submission: content of `run.json`.
    """
    last = None if run is None else run.status
    if last == "completed" or last == "partial":
        return last
    if submission is None:
        return "waiting" if last is None else "failed" if last == "failed" else "started"
    if submission.ended == "cancelled":
        return "cancelled"
    process = coordination(out)
    begun = process.flower_run == submission.flower_run
    if begun and process.is_alive:
        return "started"
    if submission.ended is not None or begun:
        return "failed" if last == "failed" or submission.ended == "failed" else "interrupted"
    return "waiting" if last is None or submission.earlier else "started"


def resume_command(home: CoordinatorHome, run: str) -> str:
    """Return the command that resumes a run."""
    return shlex.join(["consilium", "coordinator", "run", str(home.folder), "--resume", run])


def how_to_go_on(home: CoordinatorHome, out: Path) -> str:
    """Sentence on what is kept of a run without a model, and how to resume it."""
    rounds = rounds_kept(out)
    kept = "nothing of it is kept" if rounds is None else f"its {counted(rounds, 'round')} are kept"
    if rounds == 1:
        kept = "its round is kept"
    return f"{kept}; resume it by `{resume_command(home, out.name)}`."


def followed(
    home: CoordinatorHome,
    out: Path,
    submission: Submission,
    as_json: bool,
    skip: int = 0,
    ends_with_us: bool = True,
) -> int:
    """Print a run's records to its end, and note how it ended.

    Args:
        home: the coordinator's folder.
        out: the run's folder.
        submission: that is followed.
        as_json: print the journal's records instead of sentences.
        skip: records of the journal that are not printed.
        ends_with_us: whether the run is ended when this process is interrupted.

    Returns:
        0 if the run completed, `PARTIAL` if a round lacked a quorum, `FAILED` if there is no model, `APART` if it was
        ended because hospitals lie far apart and the federation file says `stop`, and 128 and the signal's number if
        this process was ended by one.
    """
    federation = load_agreement(out / FILE_NAME)
    last: RunRecord | None = None
    try:
        for record in follow(home, out, submission.flower_run, skip):
            if as_json:
                typer.echo(record.model_dump_json())
            elif line := _line(record, federation):
                typer.echo(line)
            last = record if isinstance(record, RunRecord) else last
    except KeyboardInterrupt as interruption:
        if ends_with_us:
            stop_run(home, submission.flower_run)
            submission.model_copy(update={"ended": "interrupted"}).write(out)
            what = f"run {out.name} was ended: {how_to_go_on(home, out)}"
        else:
            what = f"run {out.name} goes on without this command."
        typer.echo(f"consilium: {cause(interruption)}; {what}", err=True)
        return exit_code(interruption)
    died = last is None or last.status in UNFINISHED
    if (now := submitted(out)).ended == "cancelled":
        typer.echo(f"consilium: run {out.name} was cancelled: {how_to_go_on(home, out)}", err=True)
        return FAILED
    kept = rounds_kept(out)
    status = "failed" if kept is None else "interrupted"
    status = status if died or last is None else last.status
    now.model_copy(update={"ended": status}).write(out)
    if status in ("completed", "partial"):
        return 0 if status == "completed" else PARTIAL
    if last is not None and last.apart and kept is None and federation.statistics.far == "stop":
        typer.echo(f"consilium: {STOPPED}", err=True)
        return APART
    write_whole(out / LOG, run_log(home, submission.flower_run).encode())
    gone = (
        "the process of run {} has ended before its end"
        if status == "interrupted"
        else "run {} gave no model"
    )
    typer.echo(f"consilium: {gone.format(out.name)}; {out / LOG} says more.", err=True)
    typer.echo(f"consilium: {how_to_go_on(home, out)}", err=True)
    require_room(home.folder)  # which explains the end of a run that had none
    return FAILED


def follow(home: CoordinatorHome, out: Path, flower_run: int, skip: int = 0) -> Iterator[JournalRecord]:
    """Yield the records of a run's journal as they are written, until the run has ended.

    Args:
        home: the coordinator's folder.
        out: the run's folder.
        flower_run: Flower's number of the run.
        skip: records that are left out.
    """
    read, asked, over = skip, time.monotonic(), False
    while True:
        for record in _records(out, read):
            read += 1
            yield record
            if isinstance(record, RunRecord) and record.status not in UNFINISHED:
                return
        if over:  # asked before the journal was read for the last time
            return
        time.sleep(POLL_S)
        process = coordination(out)
        over = process.flower_run == flower_run and not process.is_alive
        if not over and time.monotonic() - asked >= STATUS_EVERY_S:
            over, asked = _over(home, flower_run), time.monotonic()


def lines_in(out: Path) -> int:
    """Return the number of whole records in a run's journal."""
    return (out / JOURNAL).read_bytes().count(b"\n") if (out / JOURNAL).is_file() else 0


def latest_of(out: Path) -> RunRecord | None:
    """Read a run as the latest record in its journal has it; None before the first."""
    records = read_journal(out) if (out / JOURNAL).is_file() else []
    return next((record for record in reversed(records) if isinstance(record, RunRecord)), None)


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


def _line(record: JournalRecord, federation: Agreement) -> str:
    """Return a record as sentences; empty for one that is for programs alone."""
    if isinstance(record, RoundRecord):
        return exchange_line(record, federation)
    if isinstance(record, AssessmentRecord):
        return assessment_line(record)
    if isinstance(record, RunRecord):
        begins = record.status in UNFINISHED
        apart = [*apart_lines(record.apart), *uncompared(federation)] if begins else []
        return "\n".join([run_line(record, federation), *missing(record, federation), *apart, *idle(record)])
    return ""
