"""Participants of a run: the connected nodes that speak for them, and their first answers."""

from dataclasses import dataclass, field

from common.agreement.agreement import Agreement
from common.messages.exchange import StatisticsReply
from server.participants.enrolment import Enrolled
from server.records.dropped import Dropped, DropReason


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


def name_nodes(federation: Agreement, enrolled: Enrolled) -> NodeDirectory:
    """Name the participants' nodes; a key that the federation file does not name is nobody's."""
    sites, left_out = {}, []
    for participant in federation.participants:
        enrolment = enrolled.get(participant.name)
        if enrolment is None:
            left_out.append(Dropped(site=participant.name, reason=DropReason.NOT_ENROLLED))
        elif participant.key_fingerprint not in (None, enrolment.fingerprint):
            left_out.append(
                Dropped(site=participant.name, node=enrolment.node_id, reason=DropReason.KEY_MISMATCH)
            )
        else:
            sites[enrolment.node_id] = participant.name
    return NodeDirectory(sites, tuple(left_out))
