"""The count outside the site folder follows the receipts, and its loss keeps no message back."""

from pathlib import Path

import pytest

from client.receipts.book import append_receipt
from client.receipts.outside_count import outside_count_path
from client.receipts.verification import verify_at_site
from client.site_folder.keys import read_key
from common.errors import IntegrityError
from common.node_keys import PublicKey
from tests.client.receipts.conftest import receipt


def test_on_a_new_machine_the_count_outside_begins_with_the_next_receipt(
    path: Path, keys: Path, public: PublicKey
) -> None:
    outside_count_path(path, public).unlink()
    assert verify_at_site(path, public).outside is None
    append_receipt(path, receipt(6), read_key(keys / "own"))
    assert verify_at_site(path, public).outside == 6


def test_a_crash_before_the_count_outside_is_no_loss(path: Path, keys: Path, public: PublicKey) -> None:
    before = outside_count_path(path, public).read_bytes()
    append_receipt(path, receipt(6), read_key(keys / "own"))
    outside_count_path(path, public).write_bytes(before)
    found = verify_at_site(path, public)
    assert (len(found.receipts), found.outside) == (6, 5)
    append_receipt(path, receipt(7), read_key(keys / "own"))
    assert verify_at_site(path, public).outside == 7


def test_where_nothing_can_be_kept_outside_messages_leave_and_the_log_says_so(
    path: Path,
    keys: Path,
    public: PublicKey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(path))
    assert append_receipt(path, receipt(6), read_key(keys / "own")).number == 6
    assert "not counted outside the site folder" in caplog.text
    assert verify_at_site(path, public).outside is None


def test_a_spoilt_count_outside_is_said(path: Path, keys: Path, public: PublicKey) -> None:
    outside_count_path(path, public).write_text("{}")
    with pytest.raises(IntegrityError):
        verify_at_site(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
