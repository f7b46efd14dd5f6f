import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import DiskFullError, InputCode
from common.lifetime.full_disk import FULL, disk_full, lack_of_room, probe_room


@pytest.mark.parametrize("number", sorted(FULL))
def test_a_full_disk_is_told_with_the_file_or_the_folder(number: int) -> None:
    unnamed = disk_full(OSError(number, "as the system says"), Path("/scratch"))
    named = disk_full(OSError(number, "as the system says", "out/result.json"), Path("/scratch"))
    assert isinstance(unnamed, DiskFullError)
    assert unnamed.code is InputCode.DISK_FULL
    assert (unnamed.where, named.where) == ("/scratch", "out/result.json")
    assert unnamed.remedy


def test_a_limit_of_files_is_no_full_disk() -> None:
    limit, disk = (disk_full(OSError(number, "")) for number in (errno.EFBIG, errno.ENOSPC))
    assert "ulimit" in limit.remedy
    assert limit.what != disk.what


def test_a_full_disk_is_seen_behind_other_errors() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    behind = ValueError("cannot be written")
    behind.__cause__ = full
    assert lack_of_room(behind) is full
    assert lack_of_room(OSError(errno.EACCES, "")) is None
    assert lack_of_room(None) is None


@pytest.fixture
def largest_file() -> Iterator[int]:
    """Bytes that a file of this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield 1_000_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_cannot_grow_is_probed(tmp_path: Path, largest_file: int) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(largest_file))
    assert probe_room(small) is probe_room(tmp_path / "new") is None
    full = probe_room(large)
    assert full is not None
    assert (full.errno, full.filename) == (errno.EFBIG, str(large))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large", "small"]
