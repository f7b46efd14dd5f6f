"""A receipt that was changed, removed, moved or cut off is noticed by whoever has the hospital's public key."""

import inspect
import json
import multiprocessing
import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.receipts import book as receipts
from client.receipts import outside_count as receipts_head
from client.receipts.book import append, head_path, verify, verify_here
from client.receipts.outside_count import outside_place
from client.receipts.receipt import Receipt
from client.site_folder import places as home
from client.site_folder.keys import PublicKey, fingerprint, new_key, read_key, read_public_key
from common.errors import InputError
from tests.client.conftest import killed_at

COUNT = 5


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        private, public = new_key()
        (folder / name).write_bytes(private)
        (folder / f"{name}.pub").write_bytes(public)
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture
def public(keys: Path) -> PublicKey:
    return read_public_key(keys / "own.pub")


def receipt(number: int = 1) -> Receipt:
    return Receipt(
        run="8",
        request=f"request-{number}",
        round=number,
        asked="train",
        message="TrainReply",
        verdict="passed",
        numbers={"metrics": {"training_loss": 1 / 3}},
        size_bytes=12,
        sha256="ab" * 32,
        update_norm=0.1,
    )


def write(path: Path, keys: Path, count: int = COUNT) -> Path:
    for number in range(1, count + 1):
        assert append(path, receipt(number), read_key(keys / "own")).number == number
    return path


@pytest.fixture
def path(tmp_path: Path, keys: Path) -> Path:
    return write(tmp_path / "receipts" / "receipts.jsonl", keys)


def test_receipts_are_kept_in_order(path: Path, public: PublicKey) -> None:
    found = verify(path, public)
    assert [one.round for one in found.receipts] == [1, 2, 3, 4, 5]
    assert found.receipts[0].model_copy(update={"number": 0, "at": ""}) == receipt().model_copy(
        update={"at": ""}
    )
    assert found.unwitnessed == 0


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("kept", "what"),
    [
        ([0, 1, 2, 3], "1 receipts are missing at the end"),
        ([], "5 receipts are missing at the end"),
        ([1, 2, 3, 4], "receipt 2 stands in place 1"),
        ([0, 2, 3, 4], "receipt 3 stands in place 2"),
        ([0, 2, 1, 3, 4], "receipt 3 stands in place 2"),
        ([0, 1, 2, 3, 4, 4], "receipt 5 stands in place 6"),
    ],
)
def test_what_is_removed_or_moved_is_noticed(
    path: Path, public: PublicKey, kept: list[int], what: str
) -> None:
    written = lines(path)
    path.write_bytes(b"".join(written[place] for place in kept))
    with pytest.raises(InputError, match=what):
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
        append(forged, receipt(number), read_key(keys / "other"))
    path.write_bytes(forged.read_bytes())
    with pytest.raises(InputError, match="not signed by this key"):
        verify(path, public)
    head_path(path).write_bytes(head_path(forged).read_bytes())
    with pytest.raises(InputError, match="not signed by this key"):
        verify(path, public)


def test_a_head_file_is_needed_and_signed(path: Path, public: PublicKey, keys: Path) -> None:
    head = head_path(path)
    kept = head.read_bytes()
    head.write_bytes(kept.replace(b'"count":5', b'"count":4'))
    with pytest.raises(InputError, match="not signed"):
        verify(path, public)
    head.unlink()
    with pytest.raises(InputError, match="head file is missing"):
        verify(path, public)
    with pytest.raises(InputError, match="head file is missing"):
        append(path, receipt(), read_key(keys / "own"))


def test_nothing_is_added_to_receipts_that_were_cut(path: Path, keys: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:-1]))
    with pytest.raises(InputError, match="missing at the end"):
        append(path, receipt(), read_key(keys / "own"))
    path.unlink()
    with pytest.raises(InputError, match="missing at the end"):
        append(path, receipt(), read_key(keys / "own"))


def test_a_crash_between_receipt_and_head_is_no_loss(path: Path, public: PublicKey, keys: Path) -> None:
    head = head_path(path).read_bytes()
    append(path, receipt(6), read_key(keys / "own"))
    head_path(path).write_bytes(head)
    assert verify(path, public).unwitnessed == 1
    assert append(path, receipt(7), read_key(keys / "own")).number == 7
    assert verify(path, public).unwitnessed == 0


def test_a_line_that_a_crash_left_unfinished_is_cut_off(path: Path, public: PublicKey, keys: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + lines(path)[-1][:40])
    with pytest.raises(InputError, match="cut off"):
        verify(path, public)
    append(path, receipt(6), read_key(keys / "own"))
    assert path.read_bytes().startswith(whole)
    assert len(verify(path, public).receipts) == 6


def _append_many(path: Path, key: Path, times: int) -> None:
    for number in range(times):
        append(path, receipt(number), read_key(key))


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path, keys: Path, public: PublicKey) -> None:
    path = tmp_path / "receipts.jsonl"
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=_append_many, args=(path, keys / "own", 8)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(verify(path, public).receipts) == 32


def test_a_line_is_json_with_a_hash_that_anyone_can_compute(path: Path) -> None:
    import hashlib

    previous = "0" * 64
    for line in lines(path):
        entry = json.loads(line)
        text = json.dumps(entry["receipt"], sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert entry["hash"] == previous


def test_a_fingerprint_is_the_one_of_ssh_keygen(keys: Path, public: PublicKey) -> None:
    printed = subprocess.run(
        ["ssh-keygen", "-lf", keys / "own.pub"], capture_output=True, text=True, check=True
    )
    assert printed.stdout.split()[1] == fingerprint(public)


def test_another_kind_of_key_is_refused(tmp_path: Path, keys: Path) -> None:
    with pytest.raises(InputError, match="there is no node key"):
        read_key(tmp_path / "none")
    (tmp_path / "key").write_text("no key")
    with pytest.raises(InputError, match="ECDSA"):
        read_key(tmp_path / "key")
    with pytest.raises(InputError, match="ECDSA"):
        read_public_key(tmp_path / "key")


@pytest.mark.parametrize("kept", [0, 2, 4])
def test_an_older_copy_is_missed_where_the_receipts_were_written(
    tmp_path: Path, keys: Path, public: PublicKey, kept: int
) -> None:
    """Put back with its own head file, it is sound in itself; what is known outside the folder tells."""
    path = tmp_path / "receipts" / "receipts.jsonl"
    write(path, keys, kept)
    copies = {place: place.read_bytes() for place in (path, head_path(path)) if place.exists()}
    for number in range(kept, COUNT):
        append(path, receipt(number), read_key(keys / "own"))
    assert verify_here(path, public).outside == COUNT
    for place in (path, head_path(path)):
        place.unlink()
    for place, content in copies.items():
        place.write_bytes(content)
    missed = f"rolled back or removed: there are {kept}, and outside this folder {COUNT} are known"
    with pytest.raises(InputError, match=missed):
        verify_here(path, public)
    with pytest.raises(InputError, match=missed):
        append(path, receipt(), read_key(keys / "own"))
    assert {place: place.read_bytes() for place in (path, head_path(path)) if place.exists()} == copies
    if kept:
        assert len(verify(path, public).receipts) == kept


def test_another_history_of_the_same_length_is_missed(path: Path, keys: Path, public: PublicKey) -> None:
    other = write(path.with_name("other.jsonl"), keys, COUNT + 1)
    path.write_bytes(other.read_bytes())
    head_path(path).write_bytes(head_path(other).read_bytes())
    assert len(verify(path, public).receipts) == COUNT + 1
    with pytest.raises(InputError, match=f"number {COUNT} is not the one that is known outside"):
        verify_here(path, public)
    with pytest.raises(InputError, match=f"number {COUNT} is not the one that is known outside"):
        append(path, receipt(), read_key(keys / "own"))


def test_on_a_new_machine_the_count_outside_begins_with_the_next_receipt(
    path: Path, keys: Path, public: PublicKey
) -> None:
    outside_place(path).unlink()
    assert verify_here(path, public).outside is None
    append(path, receipt(6), read_key(keys / "own"))
    assert verify_here(path, public).outside == 6


def test_a_crash_before_the_count_outside_is_no_loss(path: Path, keys: Path, public: PublicKey) -> None:
    before = outside_place(path).read_bytes()
    append(path, receipt(6), read_key(keys / "own"))
    outside_place(path).write_bytes(before)
    found = verify_here(path, public)
    assert (len(found.receipts), found.outside) == (6, 5)
    append(path, receipt(7), read_key(keys / "own"))
    assert verify_here(path, public).outside == 7


def test_where_nothing_can_be_kept_outside_messages_leave_and_the_log_says_so(
    path: Path,
    keys: Path,
    public: PublicKey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(path))
    assert append(path, receipt(6), read_key(keys / "own")).number == 6
    assert "not counted outside the site folder" in caplog.text
    assert verify_here(path, public).outside is None


def test_a_spoilt_count_outside_is_said(path: Path, keys: Path, public: PublicKey) -> None:
    outside_place(path).write_text("{}")
    with pytest.raises(InputError, match="is not what was written of the receipts"):
        verify_here(path, public)
    with pytest.raises(InputError, match="is not what was written of the receipts"):
        append(path, receipt(), read_key(keys / "own"))


def test_a_kill_at_any_line_leaves_receipts_that_can_be_added_to(
    memory: Path, keys: Path, public: PublicKey
) -> None:
    files = [inspect.getsourcefile(module) for module in (receipts, receipts_head, home)]
    key, line = read_key(keys / "own"), 0
    path = memory / "0" / "receipts.jsonl"
    while killed_at(line, files, partial(append, write(path, keys, 2), receipt(3), key)):
        append(path, receipt(4), key)
        found = verify_here(path, public)
        assert [one.round for one in found.receipts] in ([1, 2, 4], [1, 2, 3, 4])
        assert found.outside == len(found.receipts)
        line += 1
        path = memory / str(line) / "receipts.jsonl"
    assert line > 40
