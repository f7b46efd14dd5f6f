"""Ledger, receipts and heads that the version before the common chained log wrote still read, verify and go on."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from client.chained_log.end_copies import outside_path
from client.ledger.heads import head_paths, read_head
from client.ledger.ledger import LEDGER, Ledger
from client.receipts.verification import verify, verify_at_site
from client.site_folder.keys import read_public_key
from common.errors import IntegrityError, Refusal, RefusalCode
from common.privacy.accounting import Release
from tests.client.conftest import NO_LIMIT

FILES = Path(__file__).parent / "earlier_version"
RUN = "a" * 64
TRAINING = Release(mechanism="training", noise_multiplier=8.0, sampling_rate=0.25, steps=4)
STATISTICS = Release(mechanism="statistics", noise_multiplier=20.0)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    folder = tmp_path / "site"
    for path in (folder / LEDGER, folder / "receipts" / "receipts.jsonl"):
        path.parent.mkdir(parents=True)
    database = sqlite3.connect(folder / LEDGER)
    database.executescript((FILES / "ledger.sql").read_text())
    database.close()
    for name in ("receipts.jsonl", "receipts.head.json"):
        shutil.copy(FILES / name, folder / "receipts" / name)
    copies = dict.fromkeys(head_paths(folder), "ledger-head.json")
    by_path = outside_path("receipts", folder / "receipts" / "receipts.jsonl", None)
    copies[by_path] = "receipts-outside.json"
    for path, name in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / name, path)
    (folder / "keys").mkdir()
    shutil.copy(FILES / "node_key.pub", folder / "keys")
    return folder


def test_its_ledger_goes_on(site: Path) -> None:
    with Ledger(site) as ledger:
        assert ledger.releases() == [STATISTICS, TRAINING, TRAINING]
        assert [entry.round for entry in ledger.entries() if entry.kind == "reserved"] == [None, 1, 2]
        number = ledger.reserve(RUN, 3, [TRAINING], NO_LIMIT)
        ledger.commit(number)
    heads = [read_head(path) for path in head_paths(site)]
    assert [head.entries for head in heads if head is not None] == [8, 8]
    with Ledger(site) as ledger:
        assert len(ledger.releases()) == 4


def test_its_heads_still_tell_of_a_ledger_that_was_cut(site: Path) -> None:
    with sqlite3.connect(site / LEDGER) as database:
        database.execute("DROP TRIGGER entries_stay")
        database.execute("DELETE FROM entries WHERE number = 6")
    database.close()
    with pytest.raises(Refusal) as raised:
        Ledger(site)
    assert raised.value.code is RefusalCode.LEDGER_INVALID


def test_its_receipts_verify(site: Path) -> None:
    key = read_public_key(FILES / "node_key.pub")
    receipts = site / "receipts" / "receipts.jsonl"
    verified = verify(receipts, key)
    assert [receipt.request for receipt in verified.receipts] == ["m0", "m1", "m2"]
    assert verified.beyond_head == 0
    assert verify_at_site(receipts, key).outside == 3


def test_its_count_outside_still_tells_of_receipts_that_are_gone(site: Path) -> None:
    shutil.rmtree(site / "receipts")
    with pytest.raises(IntegrityError):
        verify_at_site(site / "receipts" / "receipts.jsonl", read_public_key(FILES / "node_key.pub"))
