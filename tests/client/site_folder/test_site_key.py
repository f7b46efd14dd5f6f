from pathlib import Path

import pytest

from client.site_folder.site_key import KEY, MARK, NO_SECRET, marks_of, read_key, read_or_make_key
from common.errors import IntegrityError


def test_a_key_is_drawn_once_and_is_private(tmp_path: Path) -> None:
    key = read_or_make_key(tmp_path)
    assert len(key) == 32
    assert read_or_make_key(tmp_path) == key
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert read_key(tmp_path) == key
    (tmp_path / "other").mkdir()
    assert read_key(tmp_path / "other") == NO_SECRET
    assert read_or_make_key(tmp_path / "other") != key


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    read_or_make_key(tmp_path)
    (tmp_path / KEY).chmod(mode)
    with pytest.raises(IntegrityError):
        read_or_make_key(tmp_path)


def test_a_key_of_another_size_is_not_used(tmp_path: Path) -> None:
    read_or_make_key(tmp_path)
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(IntegrityError):
        read_or_make_key(tmp_path)


def test_marks_depend_on_identifier_and_key() -> None:
    marks = marks_of(["a", 1, "1"], b"k" * 32)
    assert len(marks) == 3 * MARK
    assert marks[MARK : 2 * MARK] == marks[2 * MARK :]
    assert marks[:MARK] != marks[MARK : 2 * MARK]
    assert marks_of(["a"], b"l" * 32) != marks[:MARK]
