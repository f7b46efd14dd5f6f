"""Reasons for which a hospital has no part, no model or no figure, as codes and sentences."""

from typing import Literal

from pydantic import Field

from simulations.results.machine import Record

Lacking = Literal["part", "model", "linear-model", "figure"]
"""Things that a hospital can be without: a part in federated training, a model of its own, a figure of its patients."""


class Cause(Record):
    """Cause by the code that who failed gave, with the code's or the error's sentence.

    Attributes:
        code: of a refusal (`common.errors.RefusalCode`), of a reply that was left out
            (`server.records.dropped.DropReason`), of an error (`common.errors.InputCode`), or one of this module.
        text: sentence for a person.
    """

    code: str
    text: str


NO_LABELS = Cause(code="no-labels", text="None of its training patients has a label of the task.")
NO_EVENTS = Cause(code="no-events", text="None of its training patients has an event.")
ONE_OUTCOME = Cause(code="one-outcome", text="All of its labelled training patients have the same outcome.")
NOT_FITTED = Cause(code="not-fitted", text="The fit to its training patients did not succeed.")
FEW_HELD_OUT = Cause(code="few-held-out", text="Too few of its held-out patients have a label of the task.")
FEW_OUTCOMES = Cause(
    code="few-outcomes", text="Too few of its held-out patients have the event, or are without it."
)
UNDEFINED = Cause(code="undefined", text="The metric is not defined for its held-out patients' outcomes.")


class Reason(Cause):
    """Reason for which a hospital is without something of a task.

    Attributes:
        lacks: what it is without.
        folds: numbers of the folds, from 1, in which it is.
    """

    lacks: Lacking
    folds: tuple[int, ...]


class Absent(Cause):
    """Hospital without a part in a federated run, or in some of its rounds.

    Attributes:
        site: the hospital.
        arm: `federated`, or the private run for an epsilon.
        task: task of which alone it taught nothing; None for a hospital that was absent whatever the task.
        rounds: rounds that went without it; empty for the whole run. One above the run's is the closing evaluation.
    """

    site: str
    arm: str = "federated"
    task: str | None = None
    rounds: tuple[int, ...] = Field(default=())
