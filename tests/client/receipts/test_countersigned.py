"""Receipts that lack a message of the coordinator's are told, whatever the machine itself remembers."""

import logging
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from client.chained_log.site_log import SiteLog
from client.receipts.book import append_receipt
from client.receipts.countersigned import (
    LOG,
    Countersigned,
    accept_missing,
    check_countersignature,
    last_reconciliation,
)
from client.receipts.page import read_receipts, verification_text
from client.site_folder.keys import read_key, read_public_key
from client.site_folder.places import Home
from common.countersignature import Received, countersigned
from common.errors import Refusal, RefusalCode
from common.node_keys import fingerprint
from server.home.certificates import certificate_bytes, new_authority
from tests.attacks.attack_table import AttackRow
from tests.client.receipts.conftest import receipt


class Coordinator:
    """Coordinator that has some messages of one hospital."""

    def __init__(self, home: Home) -> None:
        certificate, self.key = new_authority("coordinator")
        home.authority.write_bytes(certificate_bytes(certificate))
        self.name = fingerprint(read_public_key(home.public_key))
        self.messages: list[tuple[str, str]] = []

    def states(self, key: ec.EllipticCurvePrivateKey | None = None, name: str = "") -> str:
        return countersigned(Received.of(name or self.name, self.messages), key or self.key)


@pytest.fixture
def home(tmp_path: Path, keys: Path) -> Home:
    home = Home(tmp_path / "machine" / "site")
    home.key.parent.mkdir(parents=True)
    shutil.copy(keys / "own", home.key)
    shutil.copy(keys / "own.pub", home.public_key)
    return home


@pytest.fixture
def coordinator(home: Home) -> Coordinator:
    return Coordinator(home)


def send(home: Home, coordinator: Coordinator, *arrive: bool) -> None:
    """Send messages, of which some arrive."""
    for arrives in arrive:
        number = len(read_receipts(home).receipts) + 1
        digest = f"{number:064x}"
        sent = receipt(number).model_copy(update={"sha256": digest})
        append_receipt(home.receipts, sent, read_key(home.key))
        if arrives:
            coordinator.messages.append((sent.run, digest))


def refused(home: Home, statement: object) -> RefusalCode:
    with pytest.raises(Refusal) as raised:
        check_countersignature(home, statement)
    return raised.value.code


def test_what_arrived_is_countersigned_and_what_was_lost_on_the_way_is_no_alarm(
    home: Home, coordinator: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "consilium.receipts")
    check_countersignature(home, coordinator.states())
    assert caplog.text == ""
    send(home, coordinator, True, False, True, False)
    for _ in range(2):
        check_countersignature(home, coordinator.states())
    assert "2 messages" in caplog.text
    verified = read_receipts(home)
    assert (verified.countersigned, verified.missing) == (3, 0)
    assert "number 3" in verification_text(verified)
    statements = [entry.statement for entry in SiteLog(home.folder, LOG, Countersigned).contents()]
    assert len(statements) == 2  # the same one is kept once


def test_another_user_can_read_receipts_and_sees_that_nothing_confirms_them(
    home: Home, coordinator: Coordinator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(home, coordinator, True)
    check_countersignature(home, coordinator.states())
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "another-user"))
    verified = read_receipts(home)
    assert (len(verified.receipts), verified.outside, verified.countersigned) == (1, None, None)


def test_receipts_that_were_set_back_are_told_until_that_is_accepted(
    home: Home, coordinator: Coordinator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole machine is set back, with everything that it knows of itself."""
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "machine" / "state"))
    send(home, coordinator, True, False)
    snapshot = shutil.copytree(tmp_path / "machine", tmp_path / "snapshot")
    send(home, coordinator, True, True)
    shutil.rmtree(tmp_path / "machine")
    shutil.copytree(snapshot, tmp_path / "machine")
    for _ in range(2):
        assert refused(home, coordinator.states()) == RefusalCode.RECEIPTS_BEHIND
    assert read_receipts(home).missing == 1  # at the least: one of the two here may not have arrived
    assert accept_missing(home, "snapshot put back")
    assert not accept_missing(home, "again")
    check_countersignature(home, coordinator.states())
    send(home, coordinator, True, True)
    check_countersignature(home, coordinator.states())
    assert read_receipts(home).missing == 0
    shutil.rmtree(tmp_path / "machine")
    shutil.copytree(snapshot, tmp_path / "machine")
    assert refused(home, coordinator.states()) == RefusalCode.RECEIPTS_BEHIND


@pytest.mark.attack
def test_everything_of_a_site_but_its_key_is_deleted(
    home: Home,
    coordinator: Coordinator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attack_row: AttackRow,
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "machine" / "state"))
    send(home, coordinator, True, True, True)
    check_countersignature(home, coordinator.states())
    for folder in (home.receipts.parent, home.folder / "records", tmp_path / "machine" / "state"):
        shutil.rmtree(folder)
    code = refused(home, coordinator.states())
    attack_row("site and state folder emptied or set back", "refused by the coordinator's count", code.value)
    assert code == RefusalCode.RECEIPTS_BEHIND


def test_a_last_message_that_has_no_receipt_is_missing_whatever_the_number(
    home: Home, coordinator: Coordinator
) -> None:
    send(home, coordinator, True, False, False)
    coordinator.messages.append(("8", "ef" * 32))
    assert refused(home, coordinator.states()) == RefusalCode.RECEIPTS_BEHIND


@pytest.mark.attack
def test_a_coordinator_cannot_borrow_leave_out_or_make_up_a_statement(
    home: Home, coordinator: Coordinator, attack_row: AttackRow
) -> None:
    send(home, coordinator, True)
    stranger = ec.generate_private_key(ec.SECP384R1())
    forged = [None, "", "{}", coordinator.states(stranger), coordinator.states(name="SHA256:another")]
    codes = {refused(home, statement).value for statement in forged}
    attack_row("countersignature left out, forged or borrowed", "refused", ", ".join(sorted(codes)))
    assert codes == {RefusalCode.REQUEST_INVALID.value}
    assert last_reconciliation(home) is None


def test_an_older_statement_tells_nothing_new(home: Home, coordinator: Coordinator) -> None:
    send(home, coordinator, True)
    older = coordinator.states()
    send(home, coordinator, True, True)
    check_countersignature(home, coordinator.states())
    check_countersignature(home, older)


def test_without_a_coordinators_certificate_there_is_nothing_to_check(home: Home) -> None:
    check_countersignature(home, None)
    assert last_reconciliation(home) is None
    assert not (home.folder / "records").exists()
