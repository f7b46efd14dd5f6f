"""Receipts are on disk, whole and in order, whatever happens while they are written."""

import inspect
import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client.chained_log import chain, end_copies, lock
from client.chained_log import lines as log_lines
from client.receipts import book, head, outside_count, verification
from client.receipts import line as receipt_line
from client.receipts.book import append_receipt
from client.receipts.head import head_path
from client.receipts.verification import verify, verify_at_site
from client.site_folder.keys import read_key
from common import files
from common.errors import IntegrityError
from common.node_keys import PublicKey
from tests.attacks.attack_table import AttackRow
from tests.client.kills import killed_at, lines_to_kill_at
from tests.client.receipts.conftest import lines, receipt, write

MODULES = (book, head, receipt_line, outside_count, verification, chain, end_copies, log_lines, lock, files)


def test_nothing_is_added_to_receipts_that_were_cut(path: Path, keys: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:-1]))
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
    path.unlink()
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))


def test_a_crash_between_receipt_and_head_is_no_loss(path: Path, public: PublicKey, keys: Path) -> None:
    head = head_path(path).read_bytes()
    append_receipt(path, receipt(6), read_key(keys / "own"))
    head_path(path).write_bytes(head)
    assert verify(path, public).beyond_head == 1
    assert append_receipt(path, receipt(7), read_key(keys / "own")).number == 7
    assert verify(path, public).beyond_head == 0


def test_a_line_that_a_crash_left_unfinished_is_cut_off(path: Path, public: PublicKey, keys: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + lines(path)[-1][:40])
    with pytest.raises(IntegrityError):
        verify(path, public)
    append_receipt(path, receipt(6), read_key(keys / "own"))
    assert path.read_bytes().startswith(whole)
    assert len(verify(path, public).receipts) == 6


def _append_many(path: Path, key: Path, times: int) -> None:
    for number in range(times):
        append_receipt(path, receipt(number), read_key(key))


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


def test_a_kill_at_any_line_leaves_receipts_that_can_be_added_to(
    memory: Path, keys: Path, public: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [inspect.getsourcefile(module) for module in MODULES]
    key = read_key(keys / "own")

    def made(name: str) -> tuple[Path, Callable[[], object]]:
        monkeypatch.setenv("CONSILIUM_STATE", str(memory / f"state-{name}"))
        path = write(memory / name / "receipts.jsonl", keys, 2)
        return path, partial(append_receipt, path, receipt(3), key)

    lines = lines_to_kill_at(files, memory, made("whole")[1])
    for line in lines:
        path, life = made(str(line))
        assert killed_at(line, files, life) is (line < lines[-1])
        append_receipt(path, receipt(4), key)
        found = verify_at_site(path, public)
        assert [kept.round for kept in found.receipts] in ([1, 2, 4], [1, 2, 3, 4])
        assert found.outside == len(found.receipts)
    assert lines[-1] > 40


@pytest.mark.attack
def test_an_append_reads_the_last_receipts_alone(
    path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, attack_row: AttackRow
) -> None:
    write_more(path, keys, 60)
    read: list[int] = []

    def counted(*place: Any) -> tuple[list[bytes], bytes]:
        found = log_lines.whole_lines(*place)
        read.append(len(found[0]))
        return found

    monkeypatch.setattr(book, "whole_lines", counted)
    assert append_receipt(path, receipt(), read_key(keys / "own")).number == 66
    attack_row("receipts read at each append", "1 of 65", f"{sum(read)} of 65")
    assert sum(read) == 1


def write_more(path: Path, keys: Path, count: int) -> None:
    for number in range(count):
        append_receipt(path, receipt(number), read_key(keys / "own"))


def test_an_earlier_receipt_that_is_gone_is_noticed_at_an_append(path: Path, keys: Path) -> None:
    first, second, *others = lines(path)
    path.write_bytes(b"".join([first, *others]))
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(), read_key(keys / "own"))
    path.write_bytes(b"".join([first, b"x" * (len(second) - 1) + b"\n", *others]))
    append_receipt(path, receipt(), read_key(keys / "own"))
    with pytest.raises(IntegrityError):
        verify(path, read_key(keys / "own").public_key())
