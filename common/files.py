"""Files written whole and durably, private files, and folders shared by two accounts.

A folder is shared if its group may write it, no other user may reach it, and the setgid bit keeps its group for what is
made in it. Whatever is written there gets the owner's permissions for the group too, whatever the umask.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[0-9]+\.tmp")
"""Name of a file that is being written, with the process that writes it."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in the error of writing it, which the system leaves without a name.

    Raises:
        OSError: that of the block, with the file's name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def is_shared(folder: Path) -> bool:
    """Whether a folder is one that the accounts of its group share, and nobody else."""
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(mode) and mode & 0o2077 == 0o2070


def open_lasting(path: Path, flags: int, mode: int) -> int:
    """Open a file, made if there is none, and return its descriptor.

    Args:
        path: the file.
        flags: of `os.open`, beside the one that makes it.
        mode: permissions of a new file, less the umask; in a shared folder also for its group.

    Raises:
        OSError: if it cannot be opened or made.
    """
    descriptor = os.open(path, flags | os.O_CREAT, mode)
    if is_shared(path.parent):
        status = os.fstat(descriptor)
        wanted = (mode & 0o700) | (mode & 0o700) >> 3
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != wanted:
            os.fchmod(descriptor, wanted)
    return descriptor


def is_private(path: Path) -> bool:
    """Whether a path is no link, belongs to this user, and no other user can read or write it."""
    status = path.lstat()
    ours = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return ours and not stat.S_IMODE(status.st_mode) & 0o077


def read_private(path: Path) -> bytes | None:
    """Read a plain file that is closed to others; None for any that is not.

    It is open to this user alone or, in a shared folder, to its group.

    Raises:
        OSError: if it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if is_shared(path.parent):
            permitted, ours = 0o770, status.st_gid == path.parent.stat().st_gid
        else:
            permitted, ours = 0o700, status.st_uid == os.geteuid()
        closed = not stat.S_IMODE(status.st_mode) & ~permitted
        return file.read() if ours and closed and stat.S_ISREG(status.st_mode) else None


def write_whole(path: Path, content: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Write a file, whole or not at all, and its folder if there is none.

    A reader, and whoever looks after a crash or on a full disk, sees the old content or the new.

    Args:
        path: the file.
        content: all of the file's bytes.
        mode: permissions, less the umask; in a shared folder also for its group.
        durable: have the file outlast a power cut; without it a file system may then keep an empty file.

    Raises:
        OSError: if it cannot be written; an older file is then still there.
    """
    with naming(path):
        _make_folder(path.parent, durable)
        _replace(path, content, mode, durable)


def _replace(path: Path, content: bytes, mode: int, durable: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(_open_temporary(temporary, mode), "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)
        raise
    if durable:
        sync_folder(path.parent)


def _open_temporary(temporary: Path, mode: int) -> int:
    """Make a file that is locked while it is written, and return its descriptor."""
    while True:
        temporary.unlink(missing_ok=True)  # of a process that died, with another mode perhaps
        descriptor = open_lasting(temporary, os.O_WRONLY | os.O_EXCL, mode)
        try:
            with suppress(
                OSError
            ):  # a file system without locks, where `remove_leftovers` cannot take it either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, temporary):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # a process that removes leftovers was faster than the lock


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


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
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path, durable: bool) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing if durable else ():
        sync_folder(path.parent)
