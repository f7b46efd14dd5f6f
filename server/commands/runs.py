"""Runs of a coordinator in a list: who, how far, how they ended."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import InputError
from server.commands.follow import state_of
from server.home.places import CoordinatorHome
from server.records.history import first_and_last
from server.records.journal import RunRecord
from server.records.submission import read_submission

UNREADABLE = "unreadable"
"""State of a run whose records are damaged."""


class RunSummary(BaseModel):
    """A run in a line.

    Attributes:
        id: name of its folder.
        state: as `consilium coordinator status` has it; None while no hospital has answered.
        federation: name in the federation file.
        digest: of the federation file.
        hospitals: number of those with a part in it.
        rounds: of training so far.
        best_round: round whose weights were kept.
        best_loss: their validation loss.
        begun: when it was handed over, ISO 8601 in UTC.
        ended: when its last record was written, once it has ended.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: str | None
    federation: str | None = None
    digest: str | None = None
    hospitals: int = 0
    rounds: int = 0
    best_round: int | None = None
    best_loss: float | None = None
    begun: str | None = None
    ended: str | None = None

    @property
    def goes_on(self) -> bool:
        """Whether hospitals may still be asked."""
        return self.state in (None, "waiting", "started")


def summary_of(home: CoordinatorHome, out: Path) -> RunSummary:
    """Summarise a run from the ends of its journal; one that is damaged is `UNREADABLE`."""
    try:
        submission, (first, last) = read_submission(out), first_and_last(out)
    except (InputError, ValidationError):
        return RunSummary(id=out.name, state=UNREADABLE)
    run = last if isinstance(last, RunRecord) else first
    state = state_of(out, run, submission)
    trained = 0 if last is None or isinstance(last, RunRecord) else last.round - (last.kind == "evaluate")
    summary = RunSummary(
        id=out.name,
        state=None if state == "waiting" else state,
        digest=None if submission is None else submission.digest,
        begun=None if submission is None else submission.submitted,
        rounds=trained,
    )
    if run is None:
        return summary
    return summary.model_copy(
        update={
            "federation": run.federation,
            "digest": run.digest,
            "hospitals": len(run.sites),
            "rounds": max(run.rounds, trained),
            "best_round": run.best_round,
            "best_loss": run.best_loss,
            "begun": summary.begun or run.at,
            "ended": None if summary.goes_on else run.at,
        }
    )
