"""A receipt that was changed, removed, moved or cut off is noticed by whoever has the public key."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.receipts.book import append_receipt
from client.receipts.head import head_path
from client.receipts.verification import verify, verify_at_site
from client.site_folder.keys import read_key
from common.errors import InputError, IntegrityError
from common.node_keys import PublicKey
from tests.client.receipts.conftest import COUNT, lines, receipt, write


def test_receipts_are_kept_in_order(path: Path, public: PublicKey) -> None:
    found = verify(path, public)
    assert [kept.round for kept in found.receipts] == [1, 2, 3, 4, 5]
    assert found.receipts[0].model_copy(update={"number": 0, "at": ""}) == receipt().model_copy(
        update={"at": ""}
    )
    assert found.beyond_head == 0


@pytest.mark.parametrize(
    "kept", [[0, 1, 2, 3], [], [1, 2, 3, 4], [0, 2, 3, 4], [0, 2, 1, 3, 4], [0, 1, 2, 3, 4, 4]]
)
def test_what_is_removed_or_moved_is_noticed(path: Path, public: PublicKey, kept: list[int]) -> None:
    written = lines(path)
    path.write_bytes(b"".join(written[place] for place in kept))
    with pytest.raises(IntegrityError):
        verify(path, public)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_noticed(path: Path, public: PublicKey, data: st.DataObject) -> None:
    written = path.read_bytes()
    place = data.draw(st.integers(0, len(written) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != written[place]))
    path.write_bytes(written[:place] + bytes([byte]) + written[place + 1 :])
    with pytest.raises(InputError):
        verify(path, public)
    path.write_bytes(written)
    verify(path, public)


def test_a_chain_rewritten_without_the_key_is_noticed(path: Path, public: PublicKey, keys: Path) -> None:
    forged = path.with_name("forged.jsonl")
    for number in range(1, COUNT + 1):
        append_receipt(forged, receipt(number), read_key(keys / "other"))
    path.write_bytes(forged.read_bytes())
    with pytest.raises(IntegrityError):
        verify(path, public)
    head_path(path).write_bytes(head_path(forged).read_bytes())
    with pytest.raises(IntegrityError):
        verify(path, public)


def test_a_head_file_is_needed_and_signed(path: Path, public: PublicKey, keys: Path) -> None:
    head = head_path(path)
    kept = head.read_bytes()
    head.write_bytes(kept.replace(b'"count":5', b'"count":4'))
    with pytest.raises(IntegrityError):
        verify(path, public)
    head.unlink()
    with pytest.raises(IntegrityError):
        verify(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))


@pytest.mark.parametrize("kept", [0, 2, 4])
def test_an_older_copy_is_missed_where_the_receipts_were_written(
    tmp_path: Path, keys: Path, public: PublicKey, kept: int
) -> None:
    """Put back with its own head file, it is sound in itself; what is known outside the folder tells."""
    path = tmp_path / "receipts" / "receipts.jsonl"
    write(path, keys, kept)
    copies = {place: place.read_bytes() for place in (path, head_path(path)) if place.exists()}
    for number in range(kept, COUNT):
        append_receipt(path, receipt(number), read_key(keys / "own"))
    assert verify_at_site(path, public).outside == COUNT
    for place in (path, head_path(path)):
        place.unlink()
    for place, content in copies.items():
        place.write_bytes(content)
    with pytest.raises(IntegrityError):
        verify_at_site(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
    assert {place: place.read_bytes() for place in (path, head_path(path)) if place.exists()} == copies
    if kept:
        assert len(verify(path, public).receipts) == kept


def test_another_history_of_the_same_length_is_missed(
    path: Path, keys: Path, public: PublicKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CONSILIUM_STATE", str(tmp_path / "elsewhere"))
        other = write(path.with_name("other.jsonl"), keys, COUNT + 1)
    path.write_bytes(other.read_bytes())
    head_path(path).write_bytes(head_path(other).read_bytes())
    assert len(verify(path, public).receipts) == COUNT + 1
    with pytest.raises(IntegrityError):
        verify_at_site(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
