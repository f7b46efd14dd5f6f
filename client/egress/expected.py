"""Expectation of a reply, from the hospital's own disk, and reasons of a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from client.egress.cohort import CohortSize
from client.site_folder.policy import Terms
from common.agreement.agreement import Agreement
from common.models.parameter_groups import ModelGroups

Shapes = Mapping[str, tuple[int, ...]]


class BlockReason(StrEnum):
    """Reason for which a message did not leave, recorded in the hospital's receipt."""

    MESSAGE_TYPE = "message-type"
    ENVELOPE = "envelope"
    NOT_A_MESSAGE = "not-a-message"
    WRONG_SITE = "wrong-site"
    WRONG_ROUND = "wrong-round"
    HELD_OUT = "held-out"
    ARRAY_NAMES = "array-names"
    ARRAY_FORM = "array-form"
    NOT_FINITE = "not-finite"
    ENCODING = "encoding"
    UPDATE_NORM = "update-norm"
    UPDATE_REACH = "update-reach"
    UNTRAINED_CHANGED = "untrained-changed"
    UNNOISED = "unnoised"
    COUNT = "count"
    SUM = "sum"
    METRICS = "metrics"
    POLICY = "policy"
    LEDGER = "ledger"
    GATE_FAILED = "gate-failed"


class BlockedError(Exception):
    """Message that must not leave."""

    def __init__(self, reason: BlockReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Expected:
    """Facts from the hospital's own disk that the gate checks a reply against.

    Attributes:
        site: the hospital's name.
        federation: its own copy of the agreement.
        terms: what holds under its policy.
        weights: parameter -> shape; all are float32.
        groups: averaging groups of the approved model's parameters.
        cohort: numbers of the hospital's units.
        maximum_update_norm: over all parameters; None is no limit.
    """

    site: str
    federation: Agreement
    terms: Terms
    weights: Shapes
    groups: ModelGroups
    cohort: CohortSize
    maximum_update_norm: float | None


def block_unless(held: bool, reason: BlockReason) -> None:
    """Block unless something holds."""
    if not held:
        raise BlockedError(reason)
