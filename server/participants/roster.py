"""Participants of a run: the connected nodes that speak for them, and their first answers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from common.agreement.agreement import Agreement
from common.messages.exchange import StatisticsReply
from server.participants.enrolment import Enrolled
from server.records.dropped import Dropped, DropReason, ordered


@dataclass(frozen=True)
class Roster:
    """The participants of a run.

    Attributes:
        statistics: site -> its first answer, in order of site name.
        nodes: site -> its node, in order of site name.
        left_out: nodes and participants that have no part, and why.
        sha256: site -> of its first answer's content as it came.
    """

    statistics: dict[str, StatisticsReply]
    nodes: dict[str, int]
    left_out: tuple[Dropped, ...]
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def sites(self) -> dict[int, str]:
        """Node -> the site it speaks for."""
        return {node: site for site, node in self.nodes.items()}


@dataclass(frozen=True)
class NodeDirectory:
    """Nodes that speak for participants, by the keys enrolled.

    Attributes:
        sites: node -> participant.
        left_out: participants that no node can speak for, and why.
    """

    sites: dict[int, str]
    left_out: tuple[Dropped, ...]


def name_nodes(federation: Agreement, enrolled: Enrolled, withdrawn: Collection[str] = ()) -> NodeDirectory:
    """Name the participants' nodes; a key that the federation file does not name is nobody's.

    Args:
        federation: the agreement.
        enrolled: the keys that speak for hospitals.
        withdrawn: hospitals whose key did so before.
    """
    sites, left_out = {}, []
    for participant in federation.participants:
        enrolment = enrolled.get(participant.name)
        if enrolment is None:
            is_withdrawn = participant.name in withdrawn
            reason = DropReason.WITHDRAWN if is_withdrawn else DropReason.NOT_ENROLLED
            left_out.append(Dropped(site=participant.name, reason=reason))
        elif participant.key_fingerprint not in (None, enrolment.fingerprint):
            left_out.append(
                Dropped(site=participant.name, node=enrolment.node_id, reason=DropReason.KEY_MISMATCH)
            )
        else:
            sites[enrolment.node_id] = participant.name
    return NodeDirectory(sites, tuple(left_out))


_UNANSWERED = (DropReason.NO_REPLY, DropReason.ABSENT, DropReason.ERROR)


def with_withdrawn(dropped: Iterable[Dropped], withdrawn: Collection[str]) -> tuple[Dropped, ...]:
    """Name as withdrawn those of whom nothing came because their key was withdrawn meanwhile."""
    return ordered(
        hospital.model_copy(update={"reason": DropReason.WITHDRAWN, "code": None})
        if hospital.site in withdrawn and hospital.reason in _UNANSWERED
        else hospital
        for hospital in dropped
    )
