"""Hospitals without a node are named with the reason: never enrolled, or withdrawn."""

from typing import TYPE_CHECKING

from server.participants.roster import name_nodes, with_withdrawn
from server.records.dropped import Dropped, DropReason
from tests.server.runs.test_assembly import enrolments

if TYPE_CHECKING:
    from tests.server.conftest import Bench


def test_a_withdrawn_hospital_is_told_from_one_that_was_never_enrolled(bench: "Bench") -> None:
    nodes = {site: node for site, node in bench.nodes.items() if site not in ("east", "west")}
    directory = name_nodes(bench.federation(), enrolments(**nodes), {"west"})
    assert {(hospital.site, hospital.reason) for hospital in directory.left_out} == {
        ("east", DropReason.NOT_ENROLLED),
        ("west", DropReason.WITHDRAWN),
    }


def test_silence_of_a_withdrawn_hospital_is_explained_and_a_refusal_stays(bench: "Bench") -> None:
    dropped = (
        Dropped(site="east", reason=DropReason.ERROR, code="5"),
        Dropped(site="north", reason=DropReason.NO_REPLY),
        Dropped(site="south", reason=DropReason.REFUSED, code="internal"),
    )
    explained = with_withdrawn(dropped, {"east", "south"})
    assert explained == (
        Dropped(site="east", reason=DropReason.WITHDRAWN),
        dropped[1],
        dropped[2],
    )
