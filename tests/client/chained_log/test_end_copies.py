"""A copy of the end is found again outside the site folder, and is whole or not there."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from client.chained_log.end_copies import carry_over, outside_path, read_copy, write_copy


class End(BaseModel):
    """Stand-in for the end of a log."""

    count: int


def test_a_copy_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state" / "end.json"
    assert read_copy(path, End) is None
    write_copy(path, End(count=3), 0o600)
    assert read_copy(path, End) == End(count=3)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    with pytest.raises(ValidationError):
        read_copy(path, End)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_path_outside_names_no_folder_of_the_site(tmp_path: Path, state: Path) -> None:
    site = tmp_path / "CANARY-8371"
    site.mkdir()
    (tmp_path / "link").symlink_to(site)
    path = outside_path("ledgers", site, None)
    assert path.parent == state / "ledgers"
    assert "CANARY" not in path.name
    assert outside_path("ledgers", tmp_path / "link", None) == path
    assert outside_path("ledgers", tmp_path, None) != path


def test_a_key_has_one_copy_wherever_its_log_lies(tmp_path: Path, state: Path) -> None:
    path = outside_path("ledgers", tmp_path / "here", "KEY")
    assert outside_path("ledgers", tmp_path / "there", "KEY") == path
    assert outside_path("ledgers", tmp_path / "here", "OTHER") != path
    assert outside_path("receipts", tmp_path / "here", "KEY") != path


def test_a_copy_that_was_filed_by_path_is_filed_by_key_once(tmp_path: Path, state: Path) -> None:
    by_path = outside_path("ledgers", tmp_path, None)
    write_copy(by_path, End(count=3))
    assert read_copy(outside_path("ledgers", tmp_path, "KEY"), End) == End(count=3)
    assert not by_path.exists()
    write_copy(by_path, End(count=1))
    assert read_copy(outside_path("ledgers", tmp_path, "KEY"), End) == End(count=3)


def test_a_replaced_keys_copies_are_those_of_the_new_key(tmp_path: Path, state: Path) -> None:
    for kind, count in (("ledgers", 3), ("receipts", 5)):
        write_copy(outside_path(kind, tmp_path, "OLD"), End(count=count))
    carry_over("OLD", "UNUSED")  # killed before the key was replaced, and repeated
    carry_over("OLD", "NEW")
    write_copy(outside_path("ledgers", tmp_path, "NEW"), End(count=4))
    assert {
        key: [read_copy(outside_path(kind, tmp_path, key), End) for kind in ("ledgers", "receipts")]
        for key in ("OLD", "NEW")
    } == {key: [End(count=4), End(count=5)] for key in ("OLD", "NEW")}
