"""On-disk cache of a site's tables and public knowledge, keyed by the hash of their inputs.

A hospital's process answers one message and ends; the cache saves the next process from parsing the tables again. The
cache is one file, `INPUTS.CONTENT.safetensors`. INPUTS is the hash of everything the tables and graphs were built from
and of the versions of the packages that built them: a table that was edited, even in place and with its old time put
back, gives another hash, and the file is no longer found. Hashing a table costs little beside parsing it, so no time
or size stands in for the content. CONTENT is the hash of the file itself. A file that is spoilt, foreign or readable
by other users is not used, and nothing fails because of it: the tables are parsed, as without a cache.

The file holds patients' values and labels. It holds no identifier but its keyed hash, and no subgroup either, which
hospitals name themselves and training does not ask for.
"""

import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from client.families.reader import Holding, sound
from client.families.registry import reader_of
from client.site_folder.site_file import SITE_FILE, SiteFile
from client.site_folder.site_key import KEY
from common.agreement.agreement import Agreement
from common.agreement.bundle import PACKAGE
from common.families.family import Public
from common.files import is_private, is_shared, read_private, write_whole

log = logging.getLogger("consilium.cache")


FORMAT = 5
"""Version of the file's format; a file of another version is not found."""


BUILDERS = (PACKAGE, "torch", "numpy", "pandas", "pyarrow")


_SUFFIX = ".safetensors"


class CacheFault(StrEnum):
    """Code in the log of why the cache is not used, or not written."""

    FOLDER_EXPOSED = "cache-folder-exposed"
    FOLDER_UNUSABLE = "cache-folder-unusable"
    FILE_EXPOSED = "cache-file-exposed"
    SPOILT = "cache-spoilt"
    UNREADABLE = "cache-unreadable"
    NOT_WRITTEN = "cache-not-written"


@dataclass(frozen=True)
class SiteData:
    """A site's cohort and its agreement's public knowledge.

    A cohort from the cache has no subgroups.
    """

    public: Public
    holding: Holding


def read_or_restore(
    folder: Path,
    agreement: Path,
    site: SiteFile,
    federation: Agreement,
    load_public: Callable[[], Public],
    cache: Path | None,
) -> SiteData:
    """Restore the data from the cache, or read the tables and cache them.

    The cache is used only if it was built from exactly these files.

    Args:
        folder: the site folder.
        agreement: the hospital's copy of the federation file, the public files beside it.
        site: the folder's `site.toml`.
        federation: content of the agreement.
        load_public: reads the public files.
        cache: a folder, made if its parent exists and is this user's alone; None for no cache.

    Raises:
        InputError: if the tables do not satisfy the federation file.
    """
    if cache is None or not _is_usable(cache):
        return _read_tables(folder, site, federation, load_public)
    before = _hash(folder, agreement, site, federation)
    if before is not None and (restored := _read(cache, before, site, federation)) is not None:
        return restored
    data = _read_tables(folder, site, federation, load_public)
    if before is not None and before == _hash(folder, agreement, site, federation):  # nobody edited meanwhile
        _write(cache, before, data, federation)
    return data


def _read_tables(
    folder: Path, site: SiteFile, federation: Agreement, load_public: Callable[[], Public]
) -> SiteData:
    public = load_public()
    return SiteData(public, sound(reader_of(federation).read(folder, site, federation)))


def _is_usable(cache: Path) -> bool:
    """Whether the cache's folder is shared, or can be made where only this user can change it."""
    try:
        if is_shared(cache):
            return True
        parent = cache.parent.lstat()
        ours = parent.st_uid == os.geteuid() and stat.S_ISDIR(parent.st_mode)
        if not ours or stat.S_IMODE(parent.st_mode) & 0o022:
            _warn(CacheFault.FOLDER_EXPOSED, "is not used: other users can write the folder around it")
            return False
        cache.mkdir(mode=0o700, exist_ok=True)
        if not is_private(cache):
            _warn(CacheFault.FOLDER_EXPOSED, "is not used: other users can read or write its folder")
            return False
    except FileNotFoundError:  # a site that was never started
        return False
    except OSError as error:
        _warn(CacheFault.FOLDER_UNUSABLE, f"is not used: {type(error).__name__}")
        return False
    return True


def _hash(folder: Path, agreement: Path, site: SiteFile, federation: Agreement) -> str | None:
    """Hash of everything that tables and graphs are built from; None if a file cannot be read."""
    files = {
        SITE_FILE: folder / SITE_FILE,
        "agreement": agreement,
        **{f"table {name}": folder / site.tables[name] for name in federation.tables if name in site.tables},
        **{f"rule {path}": folder / path for path in site.intake.files},
        **({"key": folder / KEY} if (folder / KEY).exists() else {}),
        **{f"public {file.path}": agreement.parent / file.path for file in federation.public_files},
    }
    try:
        contents = {name: _digest(path) for name, path in files.items()}
    except OSError:
        return None
    versions = {name: version(name) for name in BUILDERS}
    return hashlib.sha256(json.dumps([FORMAT, versions, contents]).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(cache: Path, key: str, site: SiteFile, federation: Agreement) -> SiteData | None:
    """Read the data under a key; None if there is none, or its file is not as it was written."""
    for path in cache.glob(f"{key}.*{_SUFFIX}"):
        try:
            content = read_private(path)
            if content is None:
                _warn(CacheFault.FILE_EXPOSED, "is not used: other users can read or write its file")
                continue
            if path.name != file_name(key, content):
                _warn(CacheFault.SPOILT, "is damaged and is built again")
                continue
            return SiteData(*reader_of(federation).unpack(load(content), site, federation))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            _warn(CacheFault.UNREADABLE, f"cannot be read ({type(error).__name__}) and is built again")
    return None


def _write(cache: Path, key: str, data: SiteData, federation: Agreement) -> None:
    """Write the data, whole or not at all, and remove every other file of the cache."""
    try:
        content = save(reader_of(federation).pack(data.public, data.holding))
        path = cache / file_name(key, content)
        write_whole(path, content, 0o600)
        for other in cache.iterdir():
            if other.name != path.name and not other.is_dir():
                other.unlink(missing_ok=True)
    except OSError as error:
        _warn(CacheFault.NOT_WRITTEN, f"cannot be written: {type(error).__name__}")


def _warn(fault: CacheFault, what: str) -> None:
    log.warning("the cache %s", what, extra={"code": fault})


def file_name(key: str, content: bytes) -> str:
    """Return the name of a cache's file: the hash of its inputs, and that of its content."""
    return f"{key}.{hashlib.sha256(content).hexdigest()}{_SUFFIX}"
