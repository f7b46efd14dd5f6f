"""Runs that go on by themselves: followed from anywhere, and ended on purpose."""

from pathlib import Path

from common.errors import StateError
from server.commands.follow import followed, how_to_go_on, latest_of, state_of
from server.home.places import CoordinatorHome
from server.records.submission import (
    Submission,
    last_folder,
    named_folder,
    read_submission,
    submitted,
)
from server.services.superlink import require_running, stop_run


def attach(home: CoordinatorHome, run: str | None, as_json: bool) -> int:
    """Print what a run has done, and follow it to its end.

    The run does not end with this command.

    Returns:
        The exit code of `server.commands.follow.followed`.

    Raises:
        InputError: if there is no such run, it was interrupted, or the coordinator does not run while it goes on.
    """
    out, submission = _run(home, run)
    if (state := state_of(out, latest_of(out), submission)) in ("waiting", "started"):
        require_running(home)
    elif state in ("interrupted", "cancelled"):
        what = "was cancelled" if state == "cancelled" else "was interrupted"
        raise StateError(str(out), what, f"resume it by `consilium coordinator run HOME --resume {out.name}`")
    return followed(home, out, submission, as_json, ends_with_us=False)


def cancel(home: CoordinatorHome, run: str | None) -> Path:
    """End a run that goes on; its finished rounds are kept, and it can be resumed.

    Returns:
        The run's folder.

    Raises:
        InputError: if there is no such run, it does not go on, or the coordinator does not run.
    """
    require_running(home)
    out, submission = _run(home, run)
    if (state := state_of(out, latest_of(out), submission)) not in ("waiting", "started"):
        raise StateError(str(out), f"does not go on: it is {state}", "there is nothing to cancel")
    submission.model_copy(update={"ended": "cancelled"}).write(out)
    stop_run(home, submission.flower_run)
    return out


def interrupted_run(home: CoordinatorHome) -> str | None:
    """Say that the last run was interrupted and how to resume it; None if it was not."""
    out = last_folder(home.runs)
    submission = None if out is None else read_submission(out)
    if out is None or submission is None or state_of(out, latest_of(out), submission) != "interrupted":
        return None
    return f"Run {out.name} was interrupted: {how_to_go_on(home, out)}"


def _run(home: CoordinatorHome, run: str | None) -> tuple[Path, Submission]:
    out = last_folder(home.runs) if run is None else named_folder(home.runs, run)
    if out is None:
        raise StateError(str(home.runs), "there is no run yet", "start one by `consilium coordinator run`")
    return out, submitted(out)
