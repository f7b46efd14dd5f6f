from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import Federation
from common.errors import OptionError, StateError
from server.commands.receipts import contributions_of_round, contributions_text, receipts_of
from server.home.places import CoordinatorHome, create_home
from server.records.dropped import Dropped, DropReason
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord

ROUND = RoundRecord(
    kind="train",
    round=1,
    seconds=12.25,
    sites={
        "east": SiteRecord(patients={"patients": 30.0, "branches.rna": 0.0, "heads.os": 30.0}, metrics={}),
        "west": SiteRecord(patients={"patients": 90.0, "branches.rna": 40.0, "heads.os": 10.0}, metrics={}),
    },
    dropped=(
        Dropped(site="north", reason=DropReason.REFUSED, code="declined-budget"),
        Dropped(node=7, reason=DropReason.UNKNOWN_NODE),
    ),
    applied=True,
)


@pytest.fixture
def home(make_federation: Callable[..., Federation], tmp_path: Path) -> CoordinatorHome:
    """A home with two runs: one that has just begun, and one of a round and its evaluation."""
    home, federation = create_home(tmp_path / "home", "localhost", 9443, None), make_federation()
    run = RunRecord(
        status="started",
        federation=federation.name,
        digest=federation.digest,
        strategy="fedavg",
        fold=-1,
        seed=0,
        left_out=(Dropped(site="south", reason=DropReason.NOT_ENROLLED),),
    )
    (home.runs / "20261121-090000").mkdir()
    with Journal(home.runs / "20261121-101500") as journal:
        journal.write(run)
        journal.write(ROUND)
        evaluation = ROUND.model_copy(update={"kind": "evaluate", "round": 2, "dropped": ()})
        sites = {site: SiteRecord(metrics={}) for site in ROUND.sites}
        journal.write(evaluation.model_copy(update={"sites": sites}))
        journal.write(run.model_copy(update={"status": "completed"}))
    return home


def test_each_share_is_that_of_the_average(home: CoordinatorHome) -> None:
    east, node, north, west = contributions_of_round(ROUND)
    assert east.shares == {"patients": 0.25, "branches.rna": 0.0, "heads.os": 0.75}
    assert west.shares == {"patients": 0.75, "branches.rna": 1.0, "heads.os": 0.25}
    assert (east.patients["branches.rna"], east.reason, east.seconds) == (0.0, None, 12.25)
    assert (north.hospital, north.shares, north.patients) == ("north", {}, {})
    assert north.reason is not None
    assert north.reason.startswith("refused (declined-budget): The hospital's privacy budget")
    assert node.hospital == "node 7"


def test_a_round_without_a_quorum_gave_nobody_a_share() -> None:
    receipts = contributions_of_round(ROUND.model_copy(update={"applied": False}))
    assert all(one.shares == {} and not one.applied for one in receipts)


def test_the_last_run_is_told_as_a_table(home: CoordinatorHome) -> None:
    lines = contributions_text(receipts_of(home, None)).splitlines()
    assert lines[0] == "run 20261121-101500: completed"
    assert lines[1].startswith("  no part in any round: south (not-enrolled)")
    assert lines[2].split()[:4] == ["round", "hospital", "patients", "share"]
    assert lines[3].split() == ["1", "east", "30", "25.0%", "0.0%", "to", "75.0%", "12.2"]
    assert lines[5].split()[:5] == ["1", "north", "12.2", "refused", "(declined-budget):"]
    assert lines[6].split() == ["1", "west", "90", "75.0%", "25.0%", "to", "100.0%", "12.2"]
    assert [line.split()[:2] for line in lines[7:]] == [["evaluation", "east"], ["evaluation", "west"]]


def test_a_private_run_shows_no_number_of_patients_in_place_of_the_hidden_one(home: CoordinatorHome) -> None:
    alike = {site: SiteRecord(patients={"patients": 1.0}, metrics={}) for site in ROUND.sites}
    with Journal(home.runs / "20261121-130000") as journal:
        run = RunRecord(status="started", federation="f", digest="d", strategy="fedavg", fold=-1, seed=0)
        journal.write(run.model_copy(update={"private": True}))
        journal.write(ROUND.model_copy(update={"sites": alike}))
    contributions = receipts_of(home, "20261121-130000")
    east, _, north, west = contributions.receipts
    assert (contributions.private, east.patients, west.patients) == (True, {}, {})
    assert east.shares == {"patients": 0.5}
    rows = [line.split() for line in contributions_text(contributions).splitlines()]
    assert ["1", "east", "hidden", "50.0%", "12.2"] in rows
    assert north.reason is not None
    assert sum("hidden" in row for row in rows) == 2


def test_a_round_that_does_not_count_says_so(home: CoordinatorHome) -> None:
    with Journal(home.runs / "20261121-101500") as journal:
        journal.write(ROUND.model_copy(update={"round": 3, "applied": False}))
    assert "lacked a quorum and does not count" in contributions_text(receipts_of(home, "20261121-101500"))


def test_runs_that_are_not_there_or_have_no_journal_are_told(home: CoordinatorHome, tmp_path: Path) -> None:
    with pytest.raises(StateError) as waiting:
        receipts_of(home, "20261121-090000")
    assert waiting.value.where == str(home.runs / "20261121-090000")
    for name in ("20261121", "..", "../runs/20261121-101500"):
        with pytest.raises(OptionError) as unknown:
            receipts_of(home, name)
        assert "20261121-090000, 20261121-101500" in unknown.value.remedy
    with pytest.raises(StateError):
        receipts_of(create_home(tmp_path / "new", "localhost", 9443, None), None)


def test_the_statistics_are_told_with_their_hash(home: CoordinatorHome) -> None:
    with Journal(home.runs / "20261121-120000") as journal:
        run = RunRecord(status="started", federation="f", digest="d", strategy="fedavg", fold=-1, seed=0)
        journal.write(run.model_copy(update={"statistics": {"east": "ab" * 32}}))
    found = receipts_of(home, "20261121-120000")
    assert found.statistics == {"east": "ab" * 32}
    assert f"  statistics of east: SHA-256 {'ab' * 6}" in contributions_text(found).splitlines()
