"""A hospital is told which of its messages all journals have, of its present key, and signed by the authority."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from common.countersignature import Received, read_countersigned
from common.errors import UnreadableFileError
from server.home.certificates import read_certificate
from server.home.places import ENROLLED, CoordinatorHome, create_home
from server.participants.countersignatures import (
    FILE_NAME,
    read_countersignatures,
    write_countersignatures,
)
from server.participants.enrolment import Enrolled, Enrolment, write_enrolled
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord

NOW = {"north": Enrolment(fingerprint="SHA256:north-2", node_id=2, since="now")}
BEFORE = {"north": Enrolment(fingerprint="SHA256:north-1", node_id=1, since="then")}


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


def ran(home: CoordinatorHome, name: str, enrolled: Enrolled, *digests: str) -> Path:
    """Write the folder of a run of which these messages of `north` were accepted: statistics, then rounds."""
    folder = home.runs / name
    run = RunRecord(
        status="started",
        federation="f",
        digest="d",
        strategy="fedavg",
        fold=-1,
        seed=0,
        statistics={"north": digests[0], "south": "99" * 32},
    )
    with Journal(folder) as journal:
        journal.write(run)
        for number, digest in enumerate(digests[1:], start=1):
            sites = {"north": SiteRecord(metrics={}, sha256=digest)} if digest else {}
            journal.write(RoundRecord(kind="train", round=number, seconds=1.0, sites=sites, applied=True))
        journal.write(run.model_copy(update={"status": "completed"}))
    write_enrolled(folder / ENROLLED, enrolled)
    return folder


def stated(home: CoordinatorHome, runs: list[tuple[str, Path]]) -> Received:
    out = home.runs / "next"
    write_countersignatures(home, out, NOW, runs)
    key = read_certificate(home.authority, "").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signed = read_countersignatures(out)
    assert set(signed) == {"north"}
    return read_countersigned(signed["north"], key)


def test_the_messages_of_all_runs_of_the_present_key_are_counted(home: CoordinatorHome) -> None:
    runs = [
        ("5", ran(home, "a", BEFORE, "10" * 32, "11" * 32)),
        ("6", ran(home, "b", NOW, "20" * 32, "21" * 32, "", "22" * 32)),
        ("c", ran(home, "c", NOW, "30" * 32)),
    ]
    received = stated(home, runs)
    assert (received.key, received.count) == ("SHA256:north-2", 4)
    assert (received.run, received.sha256) == ("c", "30" * 32)
    messages = [("6", "20" * 32), ("6", "21" * 32), ("6", "22" * 32), ("c", "30" * 32)]
    assert received.digest == Received.of("SHA256:north-2", messages).digest


def test_before_its_first_message_a_hospital_has_sent_none(home: CoordinatorHome) -> None:
    (home.runs / "begun").mkdir()
    write_enrolled(home.runs / "begun" / ENROLLED, NOW)
    assert stated(home, [("5", home.runs / "begun")]).count == 0


@pytest.mark.parametrize("content", [None, "[]", "x"])
def test_a_run_without_its_statements_does_not_begin(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(UnreadableFileError):
        read_countersignatures(tmp_path)
