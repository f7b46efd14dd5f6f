"""Temporary folders of patients' tables and runs, which outlive no process.

A folder is removed at the end of its block, also by SIGTERM and SIGHUP. A process that is killed leaves it; the next
one of the same user that makes such a folder removes it then. It is known by its lock, which the system releases
with the process that holds it.
"""

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import DiskFullError, InputError, MachineError
from common.lifetime.full_disk import disk_full, lack_of_room
from common.lifetime.signals import unwound

PREFIX = "consilium-"


LOCK = ".lock"
"""File in a folder that the process locks to which the folder belongs; it holds a line about the machine."""


_BOOT = Path("/proc/sys/kernel/random/boot_id")


class WorkFolder:
    """Temporary folder that belongs to this process, until it is removed.

    What killed processes left is removed first.

    Attributes:
        path: of the folder, which other users cannot enter.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or temporary_parent()
        remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock: int | None = None
        try:
            self._lock = _locked(self.path)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder, the lock at last, so that a removal that is cut short can be completed."""
        _remove(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a temporary folder for a block.

    Raises:
        DiskFullError: in place of the block's error, if a disk was full.
        SystemExit: at the end of a block that SIGTERM or SIGHUP has ended, where nobody else handles them.
    """
    parent = temporary_parent()
    with unwound(), room_in(parent):
        folder = WorkFolder(parent)
        try:
            yield folder.path
        finally:
            folder.remove()


def temporary_parent() -> Path:
    """Folder of temporary folders: TMPDIR, also where it is full, or else the system's.

    Raises:
        MachineError: if there is none that can be written.
    """
    asked = os.environ.get("TMPDIR")
    if asked and Path(asked).is_dir():
        return Path(asked).absolute()
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        what = "no folder for temporary files can be written"
        raise MachineError("TMPDIR", what, "set it to a folder of yours on a disk with room") from None


@contextmanager
def room_in(parent: Path) -> Iterator[None]:
    """Turn the error of a full disk into a sentence with the folder.

    Args:
        parent: folder of temporary folders, which is meant by an error without a file.

    Raises:
        DiskFullError: in place of an error that a full disk has caused.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if (full := lack_of_room(error)) is None:
            raise
        raise no_room(parent, full) from None


def no_room(parent: Path, full: OSError) -> DiskFullError:
    """Describe a full disk by the file that lacked room, or by the temporary files' folder.

    Args:
        parent: folder of temporary folders.
        full: error of the system.
    """
    if full.filename is not None and not Path(str(full.filename)).is_relative_to(parent):
        return disk_full(full)
    remedy = "make room there, or set TMPDIR to a folder on a larger disk, then repeat the command"
    return disk_full(OSError(full.errno, full.strerror), parent, remedy)


def remove_abandoned(parent: Path) -> int:
    """Remove the folders that this user's killed processes left; return their number."""
    removed = 0
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            removed += _remove_abandoned(path)
    return removed


def _remove_abandoned(folder: Path) -> bool:
    """Remove a folder if it is ours, and nobody has its lock."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if not _is_of_this_machine(os.pread(descriptor, 4096, 0).decode(errors="replace")):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(descriptor)
    return True


def _locked(folder: Path) -> int:
    """Make the lock file of a folder, locked before it has its name; return its descriptor."""
    unnamed = folder / f"{LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, " ".join(_machine()).encode())
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(folder / LOCK)
    except OSError as error:
        if lack_of_room(error) is not None:
            os.close(descriptor)
            raise
        unnamed.unlink(missing_ok=True)  # a file system without locks: nobody else removes the folder then
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _machine() -> tuple[str, str]:
    """Name of this machine and id of its start, which containers on it share."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = "-"
    return socket.gethostname() or "-", boot


def _is_of_this_machine(line: str) -> bool:
    """Whether a lock is of this machine; those of others are not seen on every shared disk."""
    name, _, boot = line.partition(" ")
    here, started = _machine()
    return bool(name) and (name == here or boot == started != "-")


def _remove(folder: Path) -> None:
    """Remove a folder, and its lock after all else."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
    with suppress(OSError):
        if not [path for path in folder.iterdir() if path.name != LOCK]:
            shutil.rmtree(folder, ignore_errors=True)
