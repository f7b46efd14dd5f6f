"""Copies of an agreement: the federation file and the public files in it."""

from pathlib import Path

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement
from common.files import write_whole


def copy_agreement(file: Path, target: Path) -> Agreement:
    """Copy a federation file and its public files durably, and read the copy.

    Raises:
        InputError: if the file cannot be read, or a public file is not the one agreed on.
        OSError: if the copy cannot be written.
    """
    copy_public_files(load_agreement(file), file.parent, target)
    write_whole(target / FILE_NAME, file.read_bytes())
    return load_agreement(target / FILE_NAME)


def copy_public_files(agreement: Agreement, source: Path, target: Path) -> None:
    """Copy the public files that an agreement names from one folder into another, durably.

    Raises:
        OSError: if a file cannot be read or written.
    """
    for file in agreement.public_files:
        write_whole(target / file.path, (source / file.path).read_bytes())
