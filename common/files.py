"""Files written whole and durably, and private files."""

import os
import stat
from pathlib import Path


def is_private(path: Path) -> bool:
    """Whether a path is no link, belongs to this user, and no other user can read or write it."""
    status = path.lstat()
    ours = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return ours and not stat.S_IMODE(status.st_mode) & 0o077


def read_private(path: Path) -> bytes | None:
    """Read a plain file that this user alone can read and write; None for any other.

    Raises:
        OSError: if it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        return file.read() if ours and not stat.S_IMODE(status.st_mode) & 0o077 else None


def write_whole(
    path: Path, content: bytes, mode: int = 0o644, durable: bool = True, scratch: Path | None = None
) -> None:
    """Write a file, whole or not at all, and its folder if there is none.

    A reader, and whoever looks after a crash or on a full disk, sees the old content or the new.

    Args:
        path: the file.
        content: all of the file's bytes.
        mode: permissions, less the umask.
        durable: have the file outlast a power cut; without it a file system may then keep an empty file.
        scratch: folder of the temporary file, on the same file system; the file's folder by default.

    Raises:
        OSError: if it cannot be written; an older file is then still there.
    """
    for folder in {path.parent, scratch or path.parent}:
        _make_folder(folder, durable)
    temporary = (scratch or path.parent) / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.unlink(missing_ok=True)  # of a process that died, with another mode perhaps
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file with its permissions, whole and durably.

    Raises:
        OSError: if it cannot be read or written; an older target is then still there.
    """
    write_whole(target, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))


def sync_folder(folder: Path) -> None:
    """Make what was made or renamed in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path, durable: bool) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing if durable else ():
        sync_folder(path.parent)
