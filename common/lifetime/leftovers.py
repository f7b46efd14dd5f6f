"""Unfinished files and folders of killed processes, removed at the next start.

What a process is writing is locked by it, and stays; so does what other users have.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.files import TEMPORARY


def remove_unfinished(folder: Path, skipped: frozenset[str] = frozenset()) -> int:
    """Remove the unfinished files of `write_whole` below a folder; return their number.

    Args:
        folder: of a site, a coordinator or a run; it need not be there.
        skipped: names of folders that others write.
    """
    removed = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in skipped]
        for name in filter(TEMPORARY.fullmatch, files):
            with suppress(OSError):
                removed += _removed(Path(parent) / name)
    return removed


@contextmanager
def draft(prefix: str, parent: Path) -> Iterator[Path]:
    """Make a folder that is renamed when it is whole.

    What is still there at the end of the block is removed. Drafts of the same prefix that killed processes
    left are removed first.
    """
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            _removed(path)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks, where nobody else takes it either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def _removed(path: Path) -> bool:
    """Remove a file or folder of this user's that nobody has locked; whether it was removed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)
    return True
