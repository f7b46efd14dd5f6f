"""Opening of files that people made, with a sentence for every reason why one cannot be."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from common.errors import InputError, MissingFileError, UnreadableFileError


@contextmanager
def opened(path: Path, missing: MissingFileError) -> Iterator[BinaryIO]:
    """Open a plain file for reading.

    Args:
        path: the file.
        missing: raised if there is no such file.

    Raises:
        InputError: if it cannot be opened or, in the block, read; or is no plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for somebody who writes
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableFileError(str(path), "is no file but a pipe or a device", "name a file")
            yield file
    except OSError as error:
        raise _explained(path, error, missing) from None


def read_bytes(path: Path, missing: MissingFileError) -> bytes:
    """Read a plain file whole; see `opened`."""
    with opened(path, missing) as file:
        return file.read()


def _explained(path: Path, error: OSError, missing: MissingFileError) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if not path.is_symlink():
            return missing
        return MissingFileError(
            str(path), "is a link to a file that is not there", "put that file back, or link to another"
        )
    if isinstance(error, IsADirectoryError):
        return UnreadableFileError(str(path), "is a folder", "name a file in it")
    if isinstance(error, PermissionError):
        what = f"may not be read by {account()}"
        return UnreadableFileError(
            str(path), what, "give that account permission to read the file and to enter its folder"
        )
    if error.errno == errno.ELOOP:
        return UnreadableFileError(str(path), "is a link that leads back to itself", "name a file")
    what = f"cannot be read ({error.strerror or type(error).__name__})"
    return UnreadableFileError(str(path), what, "see to the disk or the network share, then try again")


def account() -> str:
    """Name the account that this process runs under."""
    from pwd import getpwuid

    try:
        return f"the account {getpwuid(os.geteuid()).pw_name}"
    except KeyError:  # the number of a container's user has no name
        return f"the account with the number {os.geteuid()}"
