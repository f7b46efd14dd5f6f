"""Every reason why a file cannot be opened is told, with a remedy that fits it."""

import os
from pathlib import Path

import pytest

from common.errors import InputCode, InputError, MissingFileError
from common.reading.access import account, opened, read_bytes

MISSING = MissingFileError("the file", "is not there", "name another")


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as raised:
        read_bytes(path, MISSING)
    return raised.value


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00content")
    assert read_bytes(tmp_path / "a", MISSING) == b"\x00content"


def test_a_file_that_is_not_there_is_the_callers_to_explain(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "nothing") is MISSING
    assert refusal(tmp_path / "file" / "below") is MISSING


def test_a_link_to_nothing_is_told_from_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    error = refusal(tmp_path / "link")
    assert error.code is InputCode.FILE_MISSING
    assert "link" in error.what
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert "link" in refusal(tmp_path / "round").what


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert (error.code, error.what) == (InputCode.FILE_UNREADABLE, "is a folder")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in refusal(tmp_path / "pipe").what


def test_a_file_that_may_not_be_read_names_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").touch(mode=0o000)
    if os.access(tmp_path / "closed", os.R_OK):  # the superuser may read everything

        def refuse(*arguments: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    error = refusal(tmp_path / "closed")
    assert error.code is InputCode.FILE_UNREADABLE
    assert account() in error.what
    assert "permission" in error.remedy


def test_an_account_without_a_name_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_123)
    assert "4000123" in account()


def test_a_failing_disk_is_told_while_reading_too(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InputError) as raised, opened(tmp_path / "a", MISSING):
        raise OSError(5, "Input/output error")
    assert raised.value.code is InputCode.FILE_UNREADABLE
    assert "Input/output error" in raised.value.what
