"""The count outside the site folder follows the receipts, and without it no further one is added."""

from pathlib import Path

import pytest

from client.receipts import book
from client.receipts.book import append_receipt
from client.receipts.outside_count import outside_count_path
from client.receipts.verification import verify_at_site
from client.site_folder.keys import read_key
from common.errors import InputError, IntegrityError, MachineError
from common.node_keys import PublicKey
from tests.client.receipts.conftest import receipt


def test_receipts_that_nothing_outside_counts_can_be_read_and_take_no_further_one(
    path: Path, keys: Path, public: PublicKey
) -> None:
    before = path.read_bytes()
    outside_count_path(path, public).unlink()
    found = verify_at_site(path, public)
    assert (len(found.receipts), found.outside) == (5, None)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(6), read_key(keys / "own"))
    assert path.read_bytes() == before
    assert not outside_count_path(path, public).exists()


def test_a_crash_before_the_count_outside_is_no_loss(path: Path, keys: Path, public: PublicKey) -> None:
    before = outside_count_path(path, public).read_bytes()
    append_receipt(path, receipt(6), read_key(keys / "own"))
    outside_count_path(path, public).write_bytes(before)
    found = verify_at_site(path, public)
    assert (len(found.receipts), found.outside) == (6, 5)
    append_receipt(path, receipt(7), read_key(keys / "own"))
    assert verify_at_site(path, public).outside == 7


def test_where_nothing_outside_can_be_reached_no_message_leaves(
    path: Path, keys: Path, public: PublicKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(path))
    with pytest.raises(MachineError):
        append_receipt(path, receipt(6), read_key(keys / "own"))
    with pytest.raises(InputError):
        append_receipt(tmp_path / "fresh" / "receipts.jsonl", receipt(1), read_key(keys / "own"))


def test_a_count_that_cannot_be_written_stays_behind_and_the_log_says_so(
    path: Path,
    keys: Path,
    public: PublicKey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(book, "write_outside_count", full)
        assert append_receipt(path, receipt(6), read_key(keys / "own")).number == 6
    assert "not counted outside the site folder" in caplog.text
    assert verify_at_site(path, public).outside == 5


def test_a_spoilt_count_outside_is_said(path: Path, keys: Path, public: PublicKey) -> None:
    outside_count_path(path, public).write_text("{}")
    with pytest.raises(IntegrityError):
        verify_at_site(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
