import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import Federation
from server.commands.status import status_of, status_text
from server.home.certificates import certificate_bytes, key_bytes, new_server, read_certificate, read_signer
from server.home.places import CoordinatorHome, create_home
from server.participants.enrolment import Enrolment, write_enrolled
from server.records.dropped import Dropped, DropReason
from server.records.journal import Journal, RoundRecord, RunRecord


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    home = create_home(tmp_path / "home", "hub.example.org", 9443, None)
    sites = {
        name: Enrolment(fingerprint=f"SHA256:{name}", node_id=node, since="now")
        for node, name in enumerate("ba")
    }
    write_enrolled(home.enrolled, sites)
    return home


def test_a_coordinator_that_does_not_run_says_what_it_can(home: CoordinatorHome) -> None:
    found = status_of(home)
    assert (found.running, found.healthy, found.services, found.last_run) == (False, False, {}, None)
    assert [(site.name, site.connected) for site in found.sites] == [("a", None), ("b", None)]
    told = status_text(found).splitlines()
    assert told[0].startswith("hub.example.org:9443: not running; certificate until 20")
    assert re.search(r"certificate until 20\d\d-.*, its authority until 20\d\d-", told[0])
    assert told[1] == "2 hospitals enrolled"
    assert told[2:4] == ["  a: unknown", "    key SHA256:a, enrolled since now"]


def test_a_certificate_that_ends_soon_is_a_warning_with_what_to_do(home: CoordinatorHome) -> None:
    assert status_of(home).warnings == ()
    authority, signer = read_certificate(home.authority, ""), read_signer(home.authority_key)
    certificate, key = new_server(authority, signer, ["hub.example.org"], years=20 / 365)
    home.certificate.write_bytes(key_bytes(key) + certificate_bytes(certificate))
    (warning,) = status_of(home).warnings
    assert str(certificate.not_valid_after_utc.date()) in warning
    assert warning.endswith(f"consilium coordinator renew {home.folder}`")
    assert f"  WARNING: {warning}." in status_text(status_of(home)).splitlines()
    assert json.loads(status_of(home).model_dump_json())["warnings"] == [warning]


def test_the_last_run_is_told_as_its_journal_and_its_end_say(
    home: CoordinatorHome, make_federation: Callable[..., Federation]
) -> None:
    federation = make_federation()
    (home.runs / "1").mkdir()
    out = home.runs / "2"
    run = RunRecord(
        status="started",
        federation=federation.name,
        digest=federation.digest,
        strategy="fedavg",
        fold=-1,
        seed=0,
    )
    with Journal(out) as journal:
        journal.write(run)
        journal.write(RoundRecord(kind="train", round=1, seconds=1.0, applied=True))
        journal.write(RoundRecord(kind="evaluate", round=2, seconds=1.0, applied=True))
    last = status_of(home).last_run
    assert last is not None
    assert (last.id, last.status, last.rounds) == ("2", "started", 1)
    told = {
        "id": "2",
        "flower_run": 1,
        "digest": "d",
        "bundle": "b",
        "submitted": "now",
        "ended": "interrupted",
    }
    (out / "run.json").write_text(json.dumps(told))
    *_, told_last, resume = status_text(status_of(home)).splitlines()
    assert told_last == "last run 2: interrupted, 1 round"
    assert resume.endswith("--resume 2`")


def dropped(site: str, code: str | None, reason: DropReason = DropReason.REFUSED) -> Dropped:
    return Dropped(site=site, reason=reason, code=code)


def started(
    home: CoordinatorHome, federation: Federation, sites: tuple[str, ...], left_out: tuple[Dropped, ...]
) -> Path:
    """A run that goes on, with these hospitals."""
    out = home.runs / "1"
    run = RunRecord(
        status="started",
        federation=federation.name,
        digest=federation.digest,
        strategy="fedavg",
        fold=-1,
        seed=0,
        sites=sites,
        left_out=left_out,
    )
    with Journal(out) as journal:
        journal.write(run)
    return out


@pytest.mark.parametrize(
    ("sites", "left_out", "approved"),
    [
        (("a",), (), True),
        ((), (dropped("a", "not-approved"),), False),
        ((), (dropped("a", "federation-mismatch"),), False),
        ((), (dropped("a", "version-mismatch"),), False),
        ((), (dropped("a", "declined-budget"),), True),
        ((), (dropped("a", None, DropReason.NO_REPLY),), None),
        ((), (dropped("b", "not-approved"),), None),
    ],
)
def test_approval_is_told_by_a_hospitals_first_answer(
    home: CoordinatorHome,
    make_federation: Callable[..., Federation],
    sites: tuple[str, ...],
    left_out: tuple[Dropped, ...],
    approved: bool | None,
) -> None:
    assert [site.approved for site in status_of(home).sites] == [None, None]
    started(home, make_federation(), sites, left_out)
    first, _ = status_of(home).sites
    assert first.approved is approved
    assert ("approved" in status_text(status_of(home)).splitlines()[2]) == (approved is not None)


def test_who_trains_and_who_has_reported_is_told_while_the_run_goes_on(
    home: CoordinatorHome, make_federation: Callable[..., Federation]
) -> None:
    out = started(home, make_federation(), ("a", "b"), ())
    told = {"kind": "train", "round": 3, "asked": "10:00", "reported": {"a": "10:01", "b": None}}
    (out / "progress.json").write_text(json.dumps(told))
    found = status_of(home)
    assert [(site.doing, site.doing_since) for site in found.sites] == [
        ("reported", "10:01"),
        ("training", "10:00"),
    ]
    lines = status_text(found).splitlines()
    assert "  a: unknown, has approved the last run's federation file, reported since 10:01" in lines
    assert "  b: unknown, has approved the last run's federation file, training since 10:00" in lines
    (out / "run.json").write_text(
        json.dumps(
            {"id": "1", "flower_run": 1, "digest": "d", "bundle": "b", "submitted": "", "ended": "failed"}
        )
    )
    assert [site.doing for site in status_of(home).sites] == [None, None]
