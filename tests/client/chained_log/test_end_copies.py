"""A copy of the end is found again outside the site folder, and is whole or not there."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from client.chained_log.end_copies import outside_path, read_copy, write_copy


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


def test_an_unfinished_copy_lies_in_the_scratch_folder(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("no folder")
    with pytest.raises(OSError):
        write_copy(tmp_path / "end.json", End(count=3), scratch=tmp_path / "scratch")
    assert [path.name for path in tmp_path.iterdir() if path.name != "scratch"] == []


def test_the_path_outside_names_no_folder_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    site = tmp_path / "CANARY-8371"
    site.mkdir()
    (tmp_path / "link").symlink_to(site)
    path = outside_path("ledgers", site)
    assert path.parent == tmp_path / "state" / "ledgers"
    assert "CANARY" not in path.name
    assert outside_path("ledgers", tmp_path / "link") == path
    assert outside_path("ledgers", tmp_path) != path
