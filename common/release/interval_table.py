"""Table of intervals, a member of a release: thresholds by task, outcome and hospital."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from common.counting import counted
from common.release.record import MemberRecord, ReleaseRecord

LEVELS = (0.8, 0.9)
"""Shares of cases in which an interval shall hold the outcome."""

LEAST_EVENTS = 10
"""Events, or patients of other outcomes, told by all hospitals together, below which there is no interval."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class OutcomeIntervals(ReleaseRecord):
    """Thresholds of one outcome, each for the levels of the table in order.

    Attributes:
        patients: of calibration, at all hospitals.
        events: among them, as told; of other outcomes the patients.
        needed: for an interval.
        pooled: for a hospital that is not in `hospitals`; empty if there are too few events.
        hospitals: that had a part in it.
    """

    patients: int = Field(ge=0)
    events: int = Field(ge=0)
    needed: int = Field(default=LEAST_EVENTS, ge=0)
    pooled: tuple[Share, ...] = ()
    hospitals: dict[str, tuple[Share, ...]] = Field(default_factory=dict)

    def at(self, hospital: str | None) -> tuple[float, ...]:
        """Return the thresholds of a hospital, the pooled ones of a stranger; empty without any."""
        return self.hospitals.get(hospital or "", self.pooled) if self.pooled else ()


class IntervalTable(MemberRecord):
    """Thresholds of every task: outcome -> intervals."""

    format: Literal[1] = 1
    levels: tuple[Share, ...] = LEVELS
    tasks: dict[str, dict[str, OutcomeIntervals]]

    @model_validator(mode="after")
    def _one_threshold_a_level(self) -> Self:
        made = [outcome for outcomes in self.tasks.values() for outcome in outcomes.values()]
        rows = [row for outcome in made for row in (outcome.pooled, *outcome.hospitals.values()) if row]
        if any(len(row) != len(self.levels) for row in rows):
            raise ValueError("thresholds must be as many as levels")
        if not self.levels or any(low >= high for low, high in pairwise((0.0, *self.levels, 1.0))):
            raise ValueError("levels must rise between 0 and 1")
        return self

    def summary(self) -> str:
        """Say which tasks have intervals, and why others have none."""
        lacking = {
            task: min(without, key=lambda outcome: outcome.events)
            for task, made in self.tasks.items()
            if (without := [outcome for outcome in made.values() if not outcome.pooled])
        }
        having = ", ".join(task for task in self.tasks if task not in lacking)
        none = [
            f"none for {task} ({counted(outcome.events, 'event')} told, {outcome.needed} are needed)"
            for task, outcome in lacking.items()
        ]
        return "; ".join([*([having] if having else []), *none]) or "none"
