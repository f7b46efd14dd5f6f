"""Receipt of one message, and the outcome of verifying all of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Receipt(BaseModel):
    """Record of the message that left in answer to one request.

    Attributes:
        number: 1 for the first; 0 until it is appended.
        at: when, ISO 8601 in UTC.
        run: the coordinator's name of the run; Flower's number as text, where there is no name and in receipts of
            earlier versions.
        request: the id of the message that is answered.
        round: of training; None where the request has none.
        federation: digest of the hospital's own copy; empty if it has none.
        asked: the type of the request.
        message: the type of what left.
        verdict: of the gate, with its `reason`.
        arrays: record/name -> shape.
        numbers: record -> name -> number, as they left.
        suppressed: tasks with too few pairs, whose numbers did not leave.
        size_bytes: of the content as it left.
        sha256: of the content as it left (`client.flower.internals.weigh`).
        update_norm: Euclidean norm of the weights' change.
        epsilon_before, epsilon_after: of everything the ledger counted before this message's own reservation, and
            with it, at `delta`. None without privacy, and where something was released without noise.
        unit: of privacy, to which the epsilons refer; None without them.
        reservation: the ledger's entry behind the message.
        again: whether the same bytes left before, in answer to the same request of an interrupted run: nothing was
            computed, and the ledger has no entry of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int = 0
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    run: str
    request: str
    round: int | None = None
    federation: str = ""
    asked: str
    message: str
    verdict: Literal["passed", "refused", "failed", "blocked"]
    reason: str = ""
    arrays: dict[str, tuple[int, ...]] = {}
    numbers: dict[str, dict[str, float]] = {}
    suppressed: tuple[str, ...] = ()
    size_bytes: int
    sha256: str
    update_norm: float | None = None
    delta: float | None = None
    epsilon_before: float | None = None
    epsilon_after: float | None = None
    unit: str | None = None
    reservation: int | None = None
    # an absent field stays absent: receipts of earlier versions are read byte by byte
    again: bool = Field(default=False, exclude_if=lambda again: not again)


@dataclass(frozen=True)
class VerifiedReceipts:
    """Receipts that are whole.

    Attributes:
        receipts: the first one first.
        beyond_head: number at the end that the head file does not count yet, as after a crash between the two files.
        hashes: of the receipts.
        outside: number that the count outside the site folder knows; None if it was not read, or does not exist.
        countersigned: number of the last one that the coordinator has countersigned; None if it was not read, or the
            coordinator has countersigned none.
        missing: number of messages that the coordinator has and they lack.
    """

    receipts: tuple[Receipt, ...]
    beyond_head: int
    hashes: tuple[str, ...] = ()
    outside: int | None = None
    countersigned: int | None = None
    missing: int = 0
