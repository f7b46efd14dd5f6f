"""Files written whole and durably, and private files."""

import os
import stat
from pathlib import Path


def is_private(place: Path) -> bool:
    """Whether a folder or file is no link, belongs to this user, and no other user can read or write it."""
    found = place.lstat()
    ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    return ours and not stat.S_IMODE(found.st_mode) & 0o077


def read_private(path: Path) -> bytes | None:
    """A file's content; None if it is no plain file, or another user's, or others can read or write it.

    Raises:
        OSError: if it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        return file.read() if ours and not stat.S_IMODE(found.st_mode) & 0o077 else None


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file, whole or not at all, and make it outlast a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sync_folder(folder: Path) -> None:
    """Make what was made or renamed in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
