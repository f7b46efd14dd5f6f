"""Errors of a disk, a quota or a limit that is used up, in words."""

import errno
import os
import tempfile
from pathlib import Path

from common.errors import DiskFullError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors by which a system says that a disk, a quota or the largest size of a file is used up."""


_WHAT = {
    errno.ENOSPC: "cannot be written, because the disk is full",
    errno.EDQUOT: "cannot be written, because this account's quota of the disk is used up",
    errno.EFBIG: "cannot be written, because files of this process may not grow that large",
}


_REMEDY = {
    errno.EFBIG: "raise the limit (`ulimit -f`), then repeat the command; no file was left half-written"
}


_PROBE_BYTES = 65_536


_ROOM = "make room on it, then repeat the command; no file was left half-written"


def disk_full(error: OSError, folder: Path | None = None, remedy: str = _ROOM) -> DiskFullError:
    """Describe an error of `FULL`.

    Args:
        error: as the system raised it.
        folder: to name where the error names no file.
        remedy: for a disk or a quota; that of a limit is another.
    """
    number = error.errno or errno.ENOSPC
    where = str(error.filename or folder or "a file")
    return DiskFullError(where, _WHAT[number], _REMEDY.get(number, remedy))


def lack_of_room(error: BaseException | None) -> OSError | None:
    """Return the system's error of a full disk, from an error or what caused it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


def probe_room(path: Path) -> OSError | None:
    """Return the system's error if a file cannot grow, which SQLite does not always tell."""
    try:
        size = path.stat().st_size if path.exists() else 0
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.seek(size)
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        if error.errno in FULL:
            return OSError(error.errno, error.strerror, str(path))
    return None
