"""Replies that had no part in an average, with reasons."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class DropReason(StrEnum):
    """Reasons for which a reply, or a whole site, had no part."""

    NO_REPLY = "no-reply"
    ABSENT = "absent"
    WITHDRAWN = "withdrawn"
    NOT_ENROLLED = "not-enrolled"
    KEY_MISMATCH = "key-mismatch"
    ERROR = "error"
    REFUSED = "refused"
    INVALID_MESSAGE = "invalid-message"
    NOT_A_PARTICIPANT = "not-a-participant"
    CLAIMED_TWICE = "claimed-twice"
    STATISTICS_INVALID = "statistics-invalid"
    STATISTICS_IMPLAUSIBLE = "statistics-implausible"
    UNKNOWN_NODE = "unknown-node"
    UNKNOWN_SITE = "unknown-site"
    WRONG_SITE = "wrong-site"
    WRONG_ROUND = "wrong-round"
    DUPLICATE = "duplicate"
    ARRAY_NAMES = "array-names"
    ARRAY_DTYPE = "array-dtype"
    ARRAY_SHAPE = "array-shape"
    NOT_FINITE = "not-finite"
    WEIGHT_INVALID = "weight-invalid"
    UPDATE_IMPLAUSIBLE = "update-implausible"
    METRICS_UNKNOWN = "metrics-unknown"
    FIGURES_IMPLAUSIBLE = "figures-implausible"


REASONS: dict[DropReason, str] = {
    DropReason.NO_REPLY: "Nothing came back before the deadline.",
    DropReason.ABSENT: "No node speaks for this participant.",
    DropReason.WITHDRAWN: "It is no longer enrolled: the coordinator withdrew its key.",
    DropReason.NOT_ENROLLED: "The coordinator has not enrolled a key for this participant.",
    DropReason.KEY_MISMATCH: "The key enrolled for this participant is not the one in the federation file.",
    DropReason.ERROR: "Flower reported an error in place of a reply; the site's own log says more.",
    DropReason.REFUSED: "The site refused, for the reason its code names.",
    DropReason.INVALID_MESSAGE: "The reply is not the message that was asked for.",
    DropReason.NOT_A_PARTICIPANT: "The site's name is not among the federation's participants.",
    DropReason.CLAIMED_TWICE: "Two nodes claim to be this site.",
    DropReason.STATISTICS_INVALID: "The site's sums do not fit the federation file.",
    DropReason.STATISTICS_IMPLAUSIBLE: (
        "The site's sums are none that its patients can have, or far from those of all other sites."
    ),
    DropReason.UNKNOWN_NODE: "The reply comes from a node that is not in this run's roster.",
    DropReason.UNKNOWN_SITE: "The reply names a site that is not in this run's roster.",
    DropReason.WRONG_SITE: "The reply carries the name of another site.",
    DropReason.WRONG_ROUND: "The reply is about another round.",
    DropReason.DUPLICATE: "The site replied more than once, and which reply it means cannot be told.",
    DropReason.ARRAY_NAMES: "The weights do not have the model's parameter names.",
    DropReason.ARRAY_DTYPE: "A parameter is not float32.",
    DropReason.ARRAY_SHAPE: "A parameter does not have the model's shape.",
    DropReason.NOT_FINITE: "A parameter is not finite.",
    DropReason.WEIGHT_INVALID: (
        "A number of training patients is missing, negative, not whole or above what the site enrolled."
    ),
    DropReason.UPDATE_IMPLAUSIBLE: "A parameter moved further than a round of training can move it.",
    DropReason.METRICS_UNKNOWN: "It holds a figure that nothing asked for.",
    DropReason.FIGURES_IMPLAUSIBLE: "Its losses or pairs are none that its patients can have.",
}


ERRORS = {
    "2": "The site could not answer; its own log says why.",
    "3": "The request, or the reply's content, was not there to be fetched.",
    "4": "The site took the request and sent no reply in time.",
    "5": "The site's node is not connected any more.",
    "8": "The process that answers at the site ended or was killed; the site's logs/superexec.log says which.",
}
"""Code of an error of Flower's -> its meaning here."""


class Dropped(BaseModel):
    """A reply that had no part: by site where the roster knows it, else by node.

    `code` is a refusal's code, or the number of a Flower error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str | None = None
    node: int | None = None
    reason: DropReason
    code: str | None = None


def ordered(dropped: Iterable[Dropped]) -> tuple[Dropped, ...]:
    """Sort by site, node and reason.

    A journal then does not depend on the order of arrival.
    """
    return tuple(
        sorted(
            dropped,
            key=lambda hospital: (
                hospital.site or "",
                hospital.node or 0,
                hospital.reason,
                hospital.code or "",
            ),
        )
    )
