"""Receipts go on from what is there once the hospital has acknowledged what is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.receipts.acknowledgement import acknowledge_receipts
from client.receipts.book import append_receipt
from client.receipts.head import head_path
from client.receipts.outside_count import outside_count_path
from client.receipts.verification import verify, verify_at_site
from client.site_folder.keys import read_key, read_public_key
from common.errors import IntegrityError
from common.node_keys import PublicKey
from tests.client.receipts.conftest import COUNT, lines, receipt


def cut(path: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:-1]))


DAMAGES: dict[str, tuple[Callable[[Path, PublicKey], object], int]] = {
    "not counted outside": (lambda path, key: outside_count_path(path, key).unlink(), COUNT),
    "count outside spoilt": (lambda path, key: outside_count_path(path, key).write_text("{}"), COUNT),
    "all deleted": (lambda path, key: shutil.rmtree(path.parent), 0),
    "last one cut off": (lambda path, key: cut(path), 0),
    "no head file": (lambda path, key: head_path(path).unlink(), 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_receipts_take_a_further_one_once_they_are_acknowledged(
    path: Path, keys: Path, public: PublicKey, damage: str
) -> None:
    act, kept = DAMAGES[damage]
    act(path, public)
    with pytest.raises(IntegrityError):
        append_receipt(path, receipt(6), read_key(keys / "own"))
    assert acknowledge_receipts(path, public)
    assert not acknowledge_receipts(path, public)
    append_receipt(path, receipt(6), read_key(keys / "own"))
    found = verify_at_site(path, public)
    assert (len(found.receipts), found.outside) == (kept + 1, kept + 1)


def test_what_is_not_whole_is_archived_with_its_key(path: Path, public: PublicKey) -> None:
    cut(path)
    assert acknowledge_receipts(path, public)
    (archive,) = path.parent.parent.glob("receipts-until-*")
    assert len(lines(archive / path.name)) == COUNT - 1
    with pytest.raises(IntegrityError):
        verify(archive / path.name, read_public_key(archive / "node_key.pub"))


def test_sound_receipts_and_none_at_all_have_nothing_to_acknowledge(
    path: Path, public: PublicKey, tmp_path: Path, keys: Path
) -> None:
    before = {place: place.read_bytes() for place in path.parent.iterdir()}
    assert not acknowledge_receipts(path, public)
    assert {place: place.read_bytes() for place in path.parent.iterdir()} == before
    other = read_public_key(keys / "other.pub")
    assert not acknowledge_receipts(tmp_path / "fresh" / "receipts" / "receipts.jsonl", other)
    assert not (tmp_path / "fresh").exists()
