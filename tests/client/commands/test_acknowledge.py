"""One acknowledgement covers everything that a site lost, and is refused where nothing was."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from client.chained_log.site_log import SiteLog
from client.cli import site_app
from client.commands.acknowledge import acknowledge_site
from client.ledger.ledger import Ledger
from client.receipts.book import append_receipt
from client.receipts.countersigned import LOG, Countersigned, check_countersignature
from client.receipts.page import read_receipts
from client.site_folder.keys import read_key, read_public_key
from client.site_folder.places import Home
from common.countersignature import Received, countersigned
from common.errors import OptionError, Refusal, RefusalCode, StateError
from common.node_keys import fingerprint
from server.home.certificates import certificate_bytes, new_authority
from tests.client.conftest import NO_LIMIT, ROUND
from tests.client.receipts.conftest import receipt


@pytest.fixture
def signer(prepared: Home) -> ec.EllipticCurvePrivateKey:
    certificate, key = new_authority("coordinator")
    prepared.authority.write_bytes(certificate_bytes(certificate))
    return key


@pytest.fixture
def home(
    prepared: Home, signer: ec.EllipticCurvePrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Home:
    """A site with an entry of each kind that the coordinator knows of."""
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "outside"))
    with Ledger(prepared.folder) as ledger:
        ledger.reserve("run", 1, [ROUND], NO_LIMIT)
    sent = append_receipt(prepared.receipts, receipt(1), read_key(prepared.key))
    name = fingerprint(read_public_key(prepared.public_key))
    statement = countersigned(Received.of(name, [(sent.run, sent.sha256)]), signer)
    check_countersignature(prepared, statement)
    return prepared


def test_where_all_is_well_there_is_nothing_to_acknowledge(home: Home) -> None:
    with pytest.raises(StateError):
        acknowledge_site(home, "just so")
    with pytest.raises(OptionError):
        acknowledge_site(home, " ")


def test_a_site_on_a_new_machine_goes_on_with_one_note(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "new-machine"))
    done = acknowledge_site(home, "new machine")
    assert (done.ledger, done.ledger_begun, done.records) == (True, False, (LOG,))
    assert (done.receipts, done.missing) == (True, False)
    assert len(done.lines()) == 3
    with Ledger(home.folder) as ledger:
        assert ledger.releases() == [ROUND]
    verified = read_receipts(home)
    assert (verified.outside, verified.countersigned) == (1, 1)
    with pytest.raises(StateError):
        acknowledge_site(home, "again")


def test_receipts_that_the_coordinator_misses_are_accepted_by_the_command(home: Home) -> None:
    shutil.rmtree(home.receipts.parent)
    ended = CliRunner().invoke(site_app, ["ledger", str(home.folder), "--acknowledge", "disk of 3 March"])
    assert ended.exit_code == 0, ended.output
    notes = [entry.note for entry in SiteLog(home.folder, LOG, Countersigned).contents()]
    assert notes == ["", "disk of 3 March"]
    assert read_receipts(home).missing == 0


def test_one_note_is_enough_for_a_backup_older_than_the_last_run(
    home: Home, signer: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The coordinator has told nothing yet of the messages that the backup lacks."""
    folder = home.receipts.parent
    backup = shutil.copytree(folder, tmp_path_factory.mktemp("backup") / folder.name)
    messages = [(sent.run, sent.sha256) for sent in read_receipts(home).receipts]
    for number in (2, 3):
        later = receipt(number).model_copy(update={"sha256": f"{number:064x}"})
        append_receipt(home.receipts, later, read_key(home.key))
        messages.append((later.run, later.sha256))
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    assert acknowledge_site(home, "backup of 3 March").receipts

    name = fingerprint(read_public_key(home.public_key))
    check_countersignature(home, countersigned(Received.of(name, messages), signer))
    assert read_receipts(home).missing == 0
    messages.append(("9", "ef" * 32))  # the note covers what its first statement showed, and nothing later
    with pytest.raises(Refusal) as raised:
        check_countersignature(home, countersigned(Received.of(name, messages), signer))
    assert raised.value.code == RefusalCode.RECEIPTS_BEHIND
