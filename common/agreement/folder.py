"""Copies of an agreement's folder: the federation file and the public files that the agreement names."""

from pathlib import Path

from common.agreement.federation import FILE_NAME, Federation, load
from common.files import write_whole


def copy_agreement(file: Path, target: Path) -> Federation:
    """Copy a federation file and its public files into a folder, durably, and read the agreement there.

    Raises:
        InputError: if the file cannot be read, or a public file is not the one agreed on.
        OSError: if the copy cannot be written.
    """
    copy_public_files(load(file), file.parent, target)
    write_whole(target / FILE_NAME, file.read_bytes())
    return load(target / FILE_NAME)


def copy_public_files(federation: Federation, source: Path, target: Path) -> None:
    """Copy the public files that an agreement names from one folder into another, durably.

    Raises:
        OSError: if a file cannot be read or written.
    """
    for file in federation.public_files:
        write_whole(target / file.path, (source / file.path).read_bytes())
