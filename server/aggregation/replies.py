"""Checks of hospitals' replies: a bad one is dropped with a reason, and the others stand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np
from flwr.app import Message, Metadata, RecordDict
from numpy.typing import NDArray

from common.messages.exchange import (
    AssessmentReply,
    EvaluateReply,
    RefusalReply,
    StatisticsReply,
    TrainReply,
    is_refusal,
)
from server.records.dropped import REASONS, Dropped, DropReason, ordered


class UnusableReplyError(Exception):
    """A reply that has to be dropped."""

    def __init__(self, reason: DropReason, code: str | None = None) -> None:
        super().__init__(REASONS[reason])
        self.reason, self.code = reason, code


Read = TypeVar("Read", StatisticsReply, TrainReply, EvaluateReply, AssessmentReply)


Scored = TypeVar("Scored", TrainReply, EvaluateReply)


def sender(reply: Message, sent: Iterable[Metadata]) -> int:
    """The node a reply comes from.

    Flower makes some error replies at the SuperLink, with the SuperLink's own node as their source: an error
    belongs to the node of the request it replies to.
    """
    if reply.has_error():
        asked = {request.message_id: request.dst_node_id for request in sent}
        return asked.get(reply.metadata.reply_to_message_id, reply.metadata.src_node_id)
    return reply.metadata.src_node_id


def read(form: Callable[[RecordDict], Read], reply: Message) -> Read:
    """The reply as the message it should be, in the form that reads it from a record.

    Raises:
        UnusableReplyError: if it is an error, a refusal or anything else.
    """
    if reply.has_error():
        raise UnusableReplyError(DropReason.ERROR, str(reply.error.code))
    try:
        if not is_refusal(reply.content):
            return form(reply.content)
        code = RefusalReply.from_record(reply.content).code.value
    except Exception:  # decoding a hostile array can raise nearly anything, and none of it may end the run
        raise UnusableReplyError(DropReason.INVALID_MESSAGE) from None
    raise UnusableReplyError(DropReason.REFUSED, code)


def check_weights(reply: TrainReply, model: dict[str, NDArray[np.float32]]) -> None:
    """Compare a reply's weights with the model that was sent.

    Raises:
        UnusableReplyError: if a name, shape or type differs, or a weight is not finite.
    """
    if set(reply.weights) != set(model):
        raise UnusableReplyError(DropReason.ARRAY_NAMES)
    for name, array in reply.weights.items():
        if array.dtype != np.float32:
            raise UnusableReplyError(DropReason.ARRAY_DTYPE)
        if array.shape != model[name].shape:
            raise UnusableReplyError(DropReason.ARRAY_SHAPE)
        if not np.isfinite(array).all():
            raise UnusableReplyError(DropReason.NOT_FINITE)


@dataclass(frozen=True)
class Collected(Generic[Scored]):
    """Accepted replies of a round, in order of site name, and those dropped.

    Attributes:
        sha256: of an accepted reply's content as it came, by site.
    """

    accepted: tuple[Scored, ...]
    dropped: tuple[Dropped, ...]
    sha256: dict[str, str]

    @classmethod
    def of(
        cls,
        form: Callable[[RecordDict], Scored],
        replies: Iterable[Message],
        sites: dict[int, str],
        sent: Sequence[Metadata],
        server_round: int,
        take: Callable[[Scored], Scored],
    ) -> Self:
        """Read all replies of a round as they come, in whatever order, holding one at a time.

        Args:
            form: reads the message they should be.
            replies: as Flower delivers them.
            sites: node -> the site it speaks for.
            sent: the metadata of the requests.
            server_round: the round they should be about.
            take: returns what is to be kept of a reply, and raises `UnusableReplyError` for one whose content does
                not fit. It also sees replies of a site that turns out to have replied twice.
        """
        usable: dict[str, list[Scored]] = {}
        sha256: dict[str, str] = {}
        dropped: list[Dropped] = []
        for message in replies:
            node = sender(message, sent)
            site = sites.get(node)
            if site is None:
                dropped.append(Dropped(node=node, reason=DropReason.UNKNOWN_NODE))
                continue
            try:
                reply = read(form, message)
                if reply.site != site:
                    is_participant = reply.site in sites.values()
                    raise UnusableReplyError(
                        DropReason.WRONG_SITE if is_participant else DropReason.UNKNOWN_SITE
                    )
                if reply.round != server_round:
                    raise UnusableReplyError(DropReason.WRONG_ROUND)
                usable.setdefault(site, []).append(take(reply))
                sha256[site] = message.content.object_id
            except UnusableReplyError as bad:
                dropped.append(Dropped(site=site, reason=bad.reason, code=bad.code))
        heard = {*usable, *(reply_dropped.site for reply_dropped in dropped)}
        silent = [site for site in sites.values() if site not in heard]
        repeated = [site for site in usable if len(usable[site]) > 1]
        dropped += [Dropped(site=site, reason=DropReason.NO_REPLY) for site in silent]
        dropped += [Dropped(site=site, reason=DropReason.DUPLICATE) for site in repeated]
        accepted = tuple(usable[site][0] for site in sorted(usable) if len(usable[site]) == 1)
        return cls(accepted, ordered(dropped), {reply.site: sha256[reply.site] for reply in accepted})
