from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Message

from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.messages.exchange import STATISTICS, RefusalReply, StatisticsReply, StatisticsRequest
from common.privacy.planning import with_privacy
from server.participants.enrolment import Enrolment
from server.participants.roster import name_nodes
from server.records.dropped import DropReason
from server.runs.assembly import build_roster

if TYPE_CHECKING:
    from tests.server.conftest import Bench

Answer = Callable[[Message], Message | None]


def says(reply: StatisticsReply) -> Answer:
    return lambda message: Message(reply.to_record(), reply_to=message)


def refuses(message: Message) -> Message:
    return Message(RefusalReply(site="", code=RefusalCode.FEDERATION_MISMATCH).to_record(), reply_to=message)


def test_every_participant_is_asked_once_and_found(bench: "Bench") -> None:
    federation = bench.federation()
    grid = bench.grid({node: says(bench.statistics(site)) for site, node in bench.nodes.items()})
    roster = bench.assemble(grid, federation, fold=1)
    assert roster.nodes == bench.nodes
    assert list(roster.statistics) == sorted(bench.nodes)
    assert roster.left_out == ()
    assert roster.sites[bench.nodes["north"]] == "north"
    assert {message.metadata.message_type for message in grid.sent} == {STATISTICS}
    request = StatisticsRequest.from_record(grid.sent[0].content)
    assert request == StatisticsRequest(federation=federation.digest, fold=1)


def test_strangers_and_impostors_are_left_out_with_a_reason(bench: "Bench") -> None:
    answers: dict[int, Answer] = {
        1: says(bench.statistics("north")),
        2: says(bench.statistics("atlantis")),
        3: says(bench.statistics("west")),
        4: says(bench.statistics("west")),
        5: refuses,
        6: lambda message: None,
    }
    grid = bench.grid(answers)
    roster = bench.assemble(grid, bench.federation(), -1)
    assert roster.nodes == {"north": 1}
    assert {(one.site, one.node, one.reason, one.code) for one in roster.left_out} == {
        (None, 2, DropReason.NOT_A_PARTICIPANT, None),
        ("west", 3, DropReason.CLAIMED_TWICE, None),
        ("west", 4, DropReason.CLAIMED_TWICE, None),
        (None, 5, DropReason.REFUSED, "federation-mismatch"),
        (None, 6, DropReason.NO_REPLY, None),
        ("east", None, DropReason.ABSENT, None),
        ("south", None, DropReason.ABSENT, None),
    }
    sent = [message.metadata for message in grid.sent]
    replies = [reply for message in grid.sent if (reply := answers[message.metadata.dst_node_id](message))]
    for order in permutations(replies):
        again = build_roster(order, sent, bench.federation())
        assert (again.nodes, again.left_out) == (roster.nodes, roster.left_out)


def test_a_node_that_claims_two_sites_speaks_for_neither(bench: "Bench") -> None:
    grid = bench.grid({1: says(bench.statistics("north")), 2: says(bench.statistics("west"))})
    bench.assemble(grid, bench.federation(deadline_s=0.01), -1)
    request, other = grid.sent
    replies = [says(bench.statistics(site))(request) for site in ("north", "east")]
    replies.append(says(bench.statistics("west"))(other))
    roster = build_roster(
        [reply for reply in replies if reply], [one.metadata for one in grid.sent], bench.federation()
    )
    assert roster.nodes == {"west": 2}


INVALID, IMPLAUSIBLE = DropReason.STATISTICS_INVALID, DropReason.STATISTICS_IMPLAUSIBLE


def survival(*sums: float) -> dict[str, Any]:
    return {"survival:os": np.array(sums)[:, None]}


@pytest.mark.parametrize(
    ("moments", "reason"),
    [
        ({"survival:os": None}, INVALID),
        ({"modality:extra": np.zeros((3, 1))}, INVALID),
        ({"modality:rna": np.zeros((3, 5))}, INVALID),
        ({"modality:rna": np.full((3, 2), np.nan)}, INVALID),
        ({"modality:rna": np.full((3, 2), -1.0)}, IMPLAUSIBLE),
        ({"modality:rna": np.full((3, 2), 1e6)}, IMPLAUSIBLE),
        (survival(20.5, 120.0, 740.0), IMPLAUSIBLE),
        (survival(20.0, 120.0, 700.0), IMPLAUSIBLE),
        (survival(20.0, 190.0, 1900.0), IMPLAUSIBLE),
        (survival(20.0, -1.0, 740.0), IMPLAUSIBLE),
        (survival(20.0, 120.0, 1e5), IMPLAUSIBLE),
        (survival(0.0, 120.0, 740.0), IMPLAUSIBLE),
    ],
    ids=[
        *("missing", "extra", "wrong width", "NaN", "negative", "more than its patients", "half a patient"),
        *("squares too small", "times too long", "times below 0", "spread too wide", "sums of nobody"),
    ],
)
def test_sums_that_do_not_fit_leave_the_site_out(
    bench: "Bench", moments: dict[str, Any], reason: DropReason
) -> None:
    good = bench.statistics("north")
    changed = {name: array for name, array in {**good.moments, **moments}.items() if array is not None}
    bad = good.model_copy(update={"moments": changed})
    grid = bench.grid({1: says(bad), 2: says(bench.statistics("west"))})
    roster = bench.assemble(grid, bench.federation(deadline_s=0.01), -1)
    assert roster.nodes == {"west": 2}
    assert ("north", 1, reason) in {(o.site, o.node, o.reason) for o in roster.left_out}


def test_a_site_with_more_patients_than_declared_is_left_out(bench: "Bench") -> None:
    many = bench.statistics("north").model_copy(update={"patients": 401})
    grid = bench.grid({1: says(many), 2: says(bench.statistics("west"))})
    roster = bench.assemble(grid, bench.federation(deadline_s=0.01), -1)
    assert ("north", 1, IMPLAUSIBLE) in {(o.site, o.node, o.reason) for o in roster.left_out}


def test_a_site_whose_sums_are_far_from_all_others_is_left_out(bench: "Bench") -> None:
    far = bench.statistics("north")
    rna = np.array([[40.0] * 2, [80e20] * 2, [200e40] * 2])
    answers = {node: says(bench.statistics(site)) for site, node in bench.nodes.items()}
    answers[bench.nodes["north"]] = says(
        far.model_copy(update={"moments": {**far.moments, "modality:rna": rna}})
    )
    roster = bench.assemble(bench.grid(answers), bench.federation(), -1)
    assert set(roster.nodes) == {"east", "south", "west"}
    assert [(o.site, o.reason) for o in roster.left_out] == [("north", IMPLAUSIBLE)]


@pytest.mark.parametrize(("patients", "taken"), [(1, True), (400, False)])
def test_with_privacy_a_site_tells_no_number_of_patients(bench: "Bench", patients: int, taken: bool) -> None:
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.5, expected_batch_size=10)
    federation = with_privacy(bench.federation(deadline_s=0.01), privacy)
    reply = StatisticsReply(site="north", patients=patients, moments={}, withheld={})
    roster = bench.assemble(bench.grid({1: says(reply)}), federation, -1)
    assert ("north" in roster.nodes) is taken


def test_waits_for_late_nodes_and_not_beyond_the_deadline(bench: "Bench") -> None:
    grid = bench.grid({})
    late = iter(bench.nodes.items())

    def connect() -> None:
        for site, node in late:
            grid.answers[node] = says(bench.statistics(site))
            return

    bench.clock.on_sleep = connect
    assert set(bench.assemble(grid, bench.federation(), -1).nodes) == set(bench.nodes)
    bench.clock.slept.clear()
    nobody = bench.assemble(bench.grid({}), bench.federation(deadline_s=60.0), -1)
    assert sum(bench.clock.slept) == pytest.approx(60.0)
    assert nobody.nodes == {}
    assert {one.reason for one in nobody.left_out} == {DropReason.ABSENT}


@pytest.mark.parametrize(
    ("events", "sites", "seconds"),
    [
        ([(0, "east", True), (0, "west", True)], "east west", 20),
        ([(30, "east", True), (50, "west", True)], "east west", 70),
        ([(0, "east", True), (0, "west", True), (15, "north", True)], "east north west", 20),
        ([(0, site, True) for site in ("east", "north", "south", "west")], "east north south west", 0),
        ([(0, "east", True)], "east", 100),
        ([(0, "east", True), (90, "west", True)], "east west", 100),
        ([(0, "east", True), (0, "west", True), (10, "west", False), (40, "west", True)], "east west", 60),
    ],
    ids=[
        "quorum at once",
        "later",
        "a third",
        "all",
        "no quorum",
        "the deadline is the end",
        "one that left",
    ],
)
def test_once_a_quorum_is_there_the_others_are_waited_for_no_longer_than_agreed(
    bench: "Bench",
    events: list[tuple[float, str, bool]],
    sites: str,
    seconds: float,
) -> None:
    """Nodes come and go at agreed seconds: (when, node, whether it comes)."""
    clock, grid = bench.clock, bench.grid({})

    def happen() -> None:
        for when, site, comes in events:
            if when <= clock.now and comes:
                grid.answers[bench.nodes[site]] = says(bench.statistics(site))
            elif when <= clock.now:
                grid.answers.pop(bench.nodes[site], None)

    happen()
    clock.on_sleep = happen
    federation = bench.federation(deadline_s=100.0)
    rounds = federation.rounds.model_copy(update={"assembly_s": 20.0})
    roster = bench.assemble(grid, federation.model_copy(update={"rounds": rounds}), -1)
    assert " ".join(roster.nodes) == sites
    assert clock.now == pytest.approx(seconds, abs=1.0)


@pytest.mark.parametrize(
    ("share", "needed"), [(0.01, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)]
)
def test_quorum_is_the_share_of_participants_rounded_up(bench: "Bench", share: float, needed: int) -> None:
    assert bench.federation(quorum=share).quorum == needed


def enrolments(**nodes: int) -> dict[str, Enrolment]:
    return {
        site: Enrolment(fingerprint=f"SHA256:{site}", node_id=node, since="now")
        for site, node in nodes.items()
    }


def test_where_keys_are_enrolled_only_participants_nodes_are_asked(bench: "Bench") -> None:
    answers = {node: says(bench.statistics(site)) for site, node in bench.nodes.items()}
    stranger, other = 77, 78
    grid = bench.grid({**answers, stranger: says(bench.statistics("north")), other: refuses})
    named = name_nodes(bench.federation(), enrolments(**bench.nodes, atlantis=other))
    roster = bench.assemble(grid, bench.federation(), -1, named)
    assert {message.metadata.dst_node_id for message in grid.sent} == set(bench.nodes.values())
    assert roster.nodes == bench.nodes
    assert roster.left_out == ()


def test_a_node_cannot_take_the_name_of_another_hospital(bench: "Bench") -> None:
    answers = {node: says(bench.statistics(site)) for site, node in bench.nodes.items()}
    answers[bench.nodes["west"]] = says(bench.statistics("north"))
    answers[bench.nodes["east"]] = refuses
    named = name_nodes(bench.federation(), enrolments(**bench.nodes))
    roster = bench.assemble(bench.grid(answers), bench.federation(), -1, named)
    assert set(roster.nodes) == {"north", "south"}
    assert {(one.site, one.node, one.reason, one.code) for one in roster.left_out} == {
        ("west", bench.nodes["west"], DropReason.WRONG_SITE, None),
        ("east", bench.nodes["east"], DropReason.REFUSED, "federation-mismatch"),
    }


def test_each_missing_hospital_has_one_reason(bench: "Bench") -> None:
    federation = bench.federation(deadline_s=0.01)
    told = federation.participants[0].model_copy(update={"key_fingerprint": "SHA256:another"})
    federation = federation.model_copy(update={"participants": (told, *federation.participants[1:])})
    nodes = {site: node for site, node in bench.nodes.items() if site != "south"}
    grid = bench.grid(
        {bench.nodes["east"]: says(bench.statistics("east")), nodes["west"]: lambda message: None}
    )
    roster = bench.assemble(grid, federation, -1, name_nodes(federation, enrolments(**nodes)))
    assert roster.nodes == {}
    assert {(one.site, one.reason) for one in roster.left_out} == {
        ("east", DropReason.KEY_MISMATCH),
        ("north", DropReason.ABSENT),
        ("south", DropReason.NOT_ENROLLED),
        ("west", DropReason.NO_REPLY),
    }
    assert len(roster.left_out) == 4
    assert {message.metadata.dst_node_id for message in grid.sent} == {bench.nodes["west"]}


def test_the_fingerprint_of_the_federation_file_is_the_enrolled_one(bench: "Bench") -> None:
    federation = bench.federation()
    participants = tuple(
        each.model_copy(update={"key_fingerprint": f"SHA256:{each.name}"}) for each in federation.participants
    )
    federation = federation.model_copy(update={"participants": participants})
    named = name_nodes(federation, enrolments(**bench.nodes))
    assert named.sites == {node: site for site, node in bench.nodes.items()}


def test_what_a_site_sent_first_is_named_by_the_hash_that_its_own_receipt_has(bench: "Bench") -> None:
    answers: dict[int, Answer] = {1: says(bench.statistics("north")), 5: refuses}
    roster = bench.assemble(bench.grid(answers), bench.federation(), -1)
    assert roster.sha256 == {"north": bench.statistics("north").to_record().object_id}


def test_each_hospital_is_sent_its_own_countersignature(bench: "Bench") -> None:
    grid = bench.grid({node: says(bench.statistics(site)) for site, node in bench.nodes.items()})
    named = name_nodes(bench.federation(), enrolments(**bench.nodes))
    signed = {site: f"signed for {site}" for site in bench.nodes if site != "south"}
    bench.assemble(grid, bench.federation(), -1, named, countersignatures=signed)
    sites = {node: site for site, node in bench.nodes.items()}
    sent = {
        sites[message.metadata.dst_node_id]: StatisticsRequest.from_record(message.content).countersignature
        for message in grid.sent
    }
    assert sent == signed | {"south": ""}
