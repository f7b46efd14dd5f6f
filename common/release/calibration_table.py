"""Table of calibration, a member of a release: levels by task, outcome and hospital."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from common.counting import counted
from common.release.record import MemberRecord, ReleaseRecord

LEAST_EVENTS = 30
"""Events, told by all hospitals together, below which there is no calibration."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


NAMED = 3
"""Most outcomes that are named in a line; of more their number is told."""

EVENT, NUMBER = "event", "number"
"""Outcomes of tasks whose outcomes have no names."""


class LevelRow(ReleaseRecord):
    """Calibration at one hospital, or of all together.

    Attributes:
        level: added to the log cumulative hazard, the log-odds, or the number.
        error: standard deviation of the level's error.
        patients: whose outcomes it is from.
        observed: events among them, or the mean number; None where there are too few to tell.
        before: what the model expected of them.
        after: what it expects with the level.
    """

    level: Finite
    error: Finite = Field(ge=0)
    patients: int = Field(ge=0)
    observed: Finite | None
    before: Finite
    after: Finite


class OutcomeCalibration(ReleaseRecord):
    """Calibration of one outcome of a task.

    Attributes:
        events: told by all hospitals; of classes and labels those of the rarer outcome, of numbers the patients.
        needed: for a calibration.
        slope: of the log cumulative hazard.
        deviation: of the hospitals' levels.
        pooled: of all hospitals, and for one that is not in `hospitals`; None if there are too few events.
        hospitals: that had a part in it.
    """

    events: int = Field(ge=0)
    needed: int = Field(default=LEAST_EVENTS, ge=0)
    slope: Finite = Field(default=1.0, gt=0)
    deviation: Finite = Field(default=0.0, ge=0)
    pooled: LevelRow | None = None
    hospitals: dict[str, LevelRow] = Field(default_factory=dict)

    def at(self, hospital: str | None) -> LevelRow | None:
        """Return the row of a hospital, the pooled one of a stranger; None if nothing is calibrated."""
        return None if self.pooled is None else self.hospitals.get(hospital or "", self.pooled)


class CalibrationTable(MemberRecord):
    """Levels of every task: outcome -> calibration.

    The outcome of a time is `event`, of a number `number`; classes and labels have their names, and of two classes the
    second one alone is there.
    """

    format: Literal[1] = 1
    tasks: dict[str, Annotated[dict[str, OutcomeCalibration], Field(min_length=1)]]

    def summary(self) -> str:
        """Say which tasks are calibrated, and on how many events."""
        return "; ".join(f"{task} {said(made)}" for task, made in self.tasks.items()) or "no task"


def said(outcomes: Mapping[str, OutcomeCalibration]) -> str:
    """Say how a task is calibrated, by its outcome with the fewest events.

    Where some outcomes have a level, these are named, and of the others the one with the fewest events.
    """
    without = {name: outcome for name, outcome in outcomes.items() if outcome.pooled is None}
    name, fewest = min((without or outcomes).items(), key=lambda item: item[1].events)
    events = counted(fewest.events, "patient" if name == NUMBER else "event")
    if fewest.pooled is not None:
        return f"on {events}"
    few = f"no, {events} told and {fewest.needed} are needed"
    having = [other for other in outcomes if other not in without]
    if not having:
        return few
    named = ", ".join(having) if len(having) <= NAMED else f"{len(having)} of {len(outcomes)} outcomes"
    return f"for {named} alone; for {name} {few}"
