"""Assembly of the hospitals of a run, and their statistics."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from flwr.app import Message, Metadata
from flwr.serverapp import Grid

from common.agreement.agreement import Agreement
from common.families.family import sums_of
from common.families.registry import family_of
from common.messages.exchange import STATISTICS, StatisticsReply, StatisticsRequest
from server.aggregation.replies import UnusableReplyError, read, sender
from server.aggregation.site_sums import can_be_sums, outliers
from server.participants.roster import NodeDirectory, Roster
from server.records.dropped import Dropped, DropReason, ordered
from server.records.progress import ProgressFile
from server.runs.clock import Clock
from server.runs.dispatch import exchange

POLL_S = 1.0
"""Seconds between two looks at which nodes are connected."""


NO_COUNTERSIGNATURES: Mapping[str, str] = MappingProxyType({})


def assemble(
    grid: Grid,
    federation: Agreement,
    fold: int,
    directory: NodeDirectory | None = None,
    progress: ProgressFile | None = None,
    clock: Clock = time,
    countersignatures: Mapping[str, str] = NO_COUNTERSIGNATURES,
    name: str = "",
) -> Roster:
    """Wait for the participants' nodes, and ask every node for its site's name and statistics.

    Args:
        grid: the way to the nodes.
        federation: the agreement.
        fold: patients of this fold are held out; -1 holds out none.
        directory: the nodes of enrolled hospitals; no other node then counts or is asked anything.
        progress: notes which hospitals have answered.
        clock: measures the seconds.
        countersignatures: site -> signed statement of what was received of it before, for a site in the `directory`.
        name: of the run.
    """
    nodes = _connected_nodes(grid, federation, directory, clock)
    request = StatisticsRequest(federation=federation.digest, fold=fold, run=name)
    sites = {} if directory is None else directory.sites
    contents = {
        node: request.model_copy(
            update={"countersignature": countersignatures.get(sites.get(node, ""), "")}
        ).to_record()
        for node in nodes
    }
    deadline_s = federation.rounds.deadline_s
    requests = [Message(contents[node], node, STATISTICS, ttl=deadline_s) for node in nodes]
    sent = [request.metadata for request in requests]
    if progress is not None and directory is not None:
        progress.begin("statistics", 0, {node: directory.sites[node] for node in nodes})
    replies = exchange(grid, requests, deadline_s, None if progress is None else progress.heard, clock)
    return build_roster(replies, sent, federation, directory)


def _connected_nodes(
    grid: Grid, federation: Agreement, directory: NodeDirectory | None, clock: Clock
) -> list[int]:
    """Wait until all nodes are connected, `assembly_s` after a quorum was, or for the deadline."""
    rounds, began = federation.rounds, clock.monotonic()
    expected, needed = (
        len(federation.participants if directory is None else directory.sites),
        federation.quorum,
    )
    since: float | None = None  # when the quorum that is there now was first seen
    while len(nodes := _connected(grid, directory)) < expected:
        now = clock.monotonic()
        since = (now if since is None else since) if len(nodes) >= needed else None
        end = began + rounds.deadline_s
        if since is not None:
            end = min(end, since + rounds.assembly_s)
        if now >= end:
            break
        clock.sleep(min(POLL_S, end - now))
    return nodes


def _connected(grid: Grid, directory: NodeDirectory | None) -> list[int]:
    return sorted(node for node in grid.get_node_ids() if directory is None or node in directory.sites)


def build_roster(
    replies: Iterable[Message],
    sent: Sequence[Metadata],
    federation: Agreement,
    directory: NodeDirectory | None = None,
) -> Roster:
    """The roster from the nodes' answers; a name claimed by two nodes belongs to neither.

    Where nodes are in the `directory`, one that answers with another name has no part.
    """
    sites = {} if directory is None else directory.sites
    participants = {participant.name for participant in federation.participants}
    asked = {request.dst_node_id for request in sent}
    claims: dict[str, list[tuple[int, StatisticsReply]]] = {}
    digests: dict[int, str] = {}
    left_out, heard = [] if directory is None else list(directory.left_out), set()
    for message in replies:
        node = sender(message, sent)
        heard.add(node)
        try:
            if node not in asked:
                raise UnusableReplyError(DropReason.UNKNOWN_NODE)
            reply = read(StatisticsReply.from_record, message)
            if reply.site not in participants:
                raise UnusableReplyError(DropReason.NOT_A_PARTICIPANT)
            if reply.site != sites.get(node, reply.site):
                raise UnusableReplyError(DropReason.WRONG_SITE)
            claims.setdefault(reply.site, []).append((node, reply))
            digests[node] = message.content.object_id
        except UnusableReplyError as bad:
            left_out.append(Dropped(site=sites.get(node), node=node, reason=bad.reason, code=bad.code))
    silent = asked - heard
    left_out += [Dropped(site=sites.get(node), node=node, reason=DropReason.NO_REPLY) for node in silent]
    explained = {hospital.site for hospital in left_out}
    members: dict[str, tuple[int, StatisticsReply]] = {}
    for site in sorted(participants):
        claimants = claims.get(site, [])
        if not claimants:
            if site not in explained:
                left_out.append(Dropped(site=site, reason=DropReason.ABSENT))
        elif len({node for node, _ in claimants}) > 1:
            left_out += [
                Dropped(site=site, node=node, reason=DropReason.CLAIMED_TWICE) for node, _ in claimants
            ]
        elif len(claimants) > 1:
            left_out.append(Dropped(site=site, node=claimants[0][0], reason=DropReason.DUPLICATE))
        elif not _fits(claimants[0][1], federation):
            left_out.append(Dropped(site=site, node=claimants[0][0], reason=DropReason.STATISTICS_INVALID))
        elif not can_be_sums(claimants[0][1], federation):
            left_out.append(
                Dropped(site=site, node=claimants[0][0], reason=DropReason.STATISTICS_IMPLAUSIBLE)
            )
        else:
            members[site] = claimants[0]
    for site in outliers({site: reply.statistics for site, (_, reply) in members.items()}):
        node = members.pop(site)[0]
        left_out.append(Dropped(site=site, node=node, reason=DropReason.STATISTICS_IMPLAUSIBLE))
    nodes = [node for node, _ in members.values()]
    for site in [site for site, (node, _) in members.items() if nodes.count(node) > 1]:
        left_out.append(Dropped(site=site, node=members.pop(site)[0], reason=DropReason.DUPLICATE))
    return Roster(
        statistics={site: reply for site, (_, reply) in members.items()},
        nodes={site: node for site, (node, _) in members.items()},
        left_out=ordered(left_out),
        sha256={site: digests[node] for site, (node, _) in members.items()},
    )


def _fits(reply: StatisticsReply, federation: Agreement) -> bool:
    """Whether the sums have the names and shapes of the family, and are finite numbers."""
    shapes = sums_of(family_of(federation), federation)
    if {name: array.shape for name, array in reply.moments.items()} != shapes:
        return False
    if set(reply.withheld) != set(shapes):
        return False
    if not all(math.isfinite(number) and number >= 0 for number in reply.withheld.values()):
        return False
    return all(array.dtype.kind == "f" and bool(np.isfinite(array).all()) for array in reply.moments.values())
