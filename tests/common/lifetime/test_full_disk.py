import errno
import os
from pathlib import Path

import pytest

from common.errors import DiskFullError, InputCode
from common.lifetime.full_disk import FULL, disk_full, lack_of_room


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
