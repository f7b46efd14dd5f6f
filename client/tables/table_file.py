"""File of a table: Parquet, workbook or CSV by its content, and a sentence for any other.

A name says nothing of what is in a file: `rna.pq` is Parquet, and a workbook does not become a CSV by its ending. Text
may be packed, as gzip, bzip2, xz or a ZIP archive of one file.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from common.errors import InputError, InvalidContentError, MissingFileError, UnreadableFileError
from common.reading.access import opened

PARQUET = b"PAR1"
"""Beginning of a Parquet file."""

_START = 1024
"""Bytes by which the kind of a file is told."""

WORKBOOK = b"PK"
"""Beginning of an Excel workbook, as of any ZIP archive."""

_EXPORT = "save it as CSV, and name that file under [tables] in site.toml"
_UNPACK = "unpack it, and name the file in it under [tables] in site.toml"

_STATA = range(0x69, 0x78)
"""Versions of Stata's older format."""

_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "is an Excel workbook, of the old kind or with a password",
        _EXPORT,
    ),
    (b"\x00" * 12 + b"\xc2\xea\x81\x60", "is a SAS data set", _EXPORT),
    (b"HEADER RECORD*******", "is a SAS transport file", _EXPORT),
    (b"$FL2", "is an SPSS data file", _EXPORT),
    (b"$FL3", "is an SPSS data file", _EXPORT),
    (b"<stata_dta>", "is a Stata data file", _EXPORT),
    *(
        (bytes([version, order, 1, 0]), "is a Stata data file", _EXPORT)
        for version in _STATA
        for order in (1, 2)
    ),
    *(
        (start, "is an R data file", _EXPORT)
        for start in (b"RDX", b"RDA", b"X\n\x00\x00", b"A\n2\n", b"A\n3\n")
    ),
    (b"\x89HDF", "is an HDF5 file", _EXPORT),
    (b"ARROW1", "is a Feather file", _EXPORT),
    (b"FEA1", "is a Feather file", _EXPORT),
    (b"PARE", "is an encrypted Parquet file", "save it without encryption"),
    (b"ORC", "is an ORC file", _EXPORT),
    (b"SQLite format 3", "is an SQLite database", _EXPORT),
    (b"\x00\x01\x00\x00Standard", "is an Access database", _EXPORT),
    (b"\x93NUMPY", "is a NumPy file", _EXPORT),
    (b"%PDF", "is a PDF document", _EXPORT),
    (b"{\\rtf", "is a text document", _EXPORT),
    (b"7z\xbc\xaf", "is a 7-Zip archive", _UNPACK),
    (b"Rar!", "is a RAR archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is packed as Zstandard", _UNPACK),
    (
        b"version https://git-lfs",
        "is a pointer of Git LFS to a file that is elsewhere",
        "fetch it with `git lfs pull`",
    ),
)
"""Beginnings of files that are no table, what they are, and what to do."""

_MARKUP: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype html", "is a web page, as some programs export in place of a workbook"),
    (b"<html", "is a web page, as some programs export in place of a workbook"),
    (b"<table", "is a web page, as some programs export in place of a workbook"),
    (b"<?xml", "is an XML document"),
    (b"{", "is JSON"),
    (b"[{", "is JSON"),
)
"""Beginnings of texts that are no CSV, in small letters."""

_PACKED = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
"""Beginnings of packed files, and what opens them."""

_DAMAGE = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    BadZipFile,
    NotImplementedError,
    RuntimeError,
)
"""Errors by which unpacking ends early."""


def is_parquet(path: Path) -> bool:
    """Whether a table is Parquet, and not text.

    Raises:
        InputError: if it cannot be read.
    """
    with opened(path, _missing(path)) as file:
        return file.read(len(PARQUET)) == PARQUET


def is_workbook(path: Path) -> bool:
    """Whether a table is an Excel workbook of the present kind, whole or damaged.

    Raises:
        InputError: if it cannot be read.
    """
    with opened(path, _missing(path)) as file:
        if file.read(len(WORKBOOK)) != WORKBOOK:
            return False
        try:
            with ZipFile(file) as archive:
                return any(name.startswith("xl/") for name in archive.namelist())
        except BadZipFile:
            return path.suffix.lower() in _WORKBOOKS[:2]


@contextmanager
def table_text(path: Path) -> Iterator[BinaryIO]:
    """Open the text of a table that is not Parquet, unpacked if it is packed.

    Raises:
        InputError: if it cannot be read, or is a file of another kind than text.
    """
    with opened(path, _missing(path)) as file:
        start = _peek(file)
        try:
            with _unpacked(path, file, start) as text:
                if text is not file:
                    start = _peek(text)
                _refuse_foreign(path, start)
                yield text
        except _DAMAGE as error:
            raise _damaged(path, error) from None
        except OSError as error:
            if error.errno is None:  # of a packed file's content, and not of the disk
                raise _damaged(path, error) from None
            raise


def _peek(file: IO[bytes]) -> bytes:
    start = file.read(_START)
    file.seek(0)
    return start


@contextmanager
def _unpacked(path: Path, file: BinaryIO, start: bytes) -> Iterator[BinaryIO]:
    for magic, unpack in _PACKED:
        if start.startswith(magic):
            with unpack(file) as text:
                yield cast(BinaryIO, text)
            return
    if start.startswith(b"PK"):
        with ZipFile(file) as archive, archive.open(_only_member(path, archive)) as text:
            yield cast(BinaryIO, text)
        return
    yield file


def _only_member(path: Path, archive: ZipFile) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if any(name.startswith("xl/") for name in names):
        raise UnreadableFileError(str(path), "is an Excel workbook", _EXPORT)
    if "content.xml" in names:
        raise UnreadableFileError(str(path), "is a LibreOffice document", _EXPORT)
    if any(name.endswith(".iwa") for name in names):
        raise UnreadableFileError(str(path), "is a Numbers document", _EXPORT)
    if len(names) != 1:
        raise UnreadableFileError(str(path), f"is a ZIP archive of {len(names)} files", _UNPACK)
    return names[0]


def _refuse_foreign(path: Path, start: bytes) -> None:
    for magic, what, remedy in _FOREIGN:
        if start.startswith(magic):
            raise UnreadableFileError(str(path), what, remedy)
    if start[257:262] == b"ustar":
        raise UnreadableFileError(str(path), "is a TAR archive", _UNPACK)
    beginning = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for text, what in _MARKUP:
        if beginning.startswith(text):
            raise UnreadableFileError(str(path), what, _EXPORT)


def damaged_workbook(path: Path) -> InputError:
    """Make the error of a workbook that cannot be opened."""
    return UnreadableFileError(str(path), "is a damaged workbook", _EXPORT)


def _damaged(path: Path, error: Exception) -> InputError:
    if path.suffix.lower() in _WORKBOOKS:
        return damaged_workbook(path)
    what = f"is packed, and cannot be unpacked ({type(error).__name__})"
    return InvalidContentError(str(path), what, "copy or export it again, without a password")


_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
"""Endings of workbooks."""


def _missing(path: Path) -> MissingFileError:
    if "\\" in path.name:
        what = "there is no such file, and on this system folders are separated by /"
        return MissingFileError(
            str(path), what, "write / instead of each backslash under [tables] in site.toml"
        )
    return MissingFileError(str(path), "there is no such file", "correct [tables] in the site file")
