"""Accounts of a site's gate and app, with what each may read and write.

Both are in the group of the site folder. The gate's account owns keys, receipts, agreement and running state. The app's
reads tables, agreement and the public key, and writes ledger, records, cache and residual in shared folders
(`common.files.is_shared`), where the gate reads and writes too. It can pass the folders around those, and list none.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from client.site_folder.outside import state_folder
from client.site_folder.places import Connection, Home, read_connection
from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.errors import InputError, MachineError, OptionError
from common.files import is_shared, write_whole


@dataclass(frozen=True)
class Access:
    """Permissions of a file or folder, as they have to be.

    Attributes:
        path: the file or folder.
        mode: all permissions that it may have; those of the group it must have.
    """

    path: Path
    mode: int

    @property
    def is_right(self) -> bool:
        """Whether the group has these permissions, and nobody but the owner more."""
        judged = 0o077 | self.mode & 0o2000
        return self.path.stat().st_mode & judged == self.mode & judged


def passed(home: Home) -> Iterator[Access]:
    """Yield the folders that the app's account passes, and what it must not reach in them."""
    yield Access(home.folder, 0o750)
    yield Access(home.key.parent, 0o710)
    yield Access(home.key, 0o600)
    yield Access(home.public_key, 0o640)
    yield Access(home.state, 0o710)
    yield Access(home.receipts.parent, 0o700)
    yield Access(state_folder(), 0o710)
    yield Access(state_folder() / "receipts", 0o700)


def shared(home: Home) -> Iterator[Access]:
    """Yield the folders in which both accounts write."""
    site = (home.folder / "ledger", home.folder / "records", home.cache, home.asked, home.residual.parent)
    for folder in (*site, state_folder() / "ledgers", state_folder() / "record-disclosures"):
        yield Access(folder, 0o2770)


def read(home: Home) -> Iterator[Path]:
    """Yield what the app's account reads."""
    yield home.folder / SITE_FILE
    site = parse_site_file(home.folder)
    yield from (home.folder / table for table in site.tables.values())
    yield from (home.folder / file for file in site.intake.files)
    if home.agreement.exists():
        yield home.agreement.parent
        yield from home.agreement.parent.rglob("*")


def separate(home: Home, socket: Path) -> None:
    """Let the app run under another account of the folder's group, at a socket.

    It may be repeated, and mends what is not as it should be.

    Raises:
        InputError: if the site was never made ready, the path is not absolute, or a file belongs to another account.
    """
    if not socket.is_absolute():
        raise OptionError("--socket", "is not an absolute path", "write it like /run/consilium-app/app.sock")
    connection = read_connection(home)
    try:
        for folder in (home.state, home.receipts.parent, state_folder() / "receipts"):
            folder.mkdir(parents=True, exist_ok=True)
        group = home.folder.stat().st_gid
        for access in (*passed(home), *shared(home)):
            if access.mode & 0o2000:
                access.path.mkdir(exist_ok=True)
            _give(access.path, group, access.mode)
            for path in access.path.iterdir() if access.mode & 0o2000 else ():
                _give(path, group, 0o2770 if path.is_dir() else 0o660)
        for path in read(home):
            if path.exists() and not _is_read(path, group):
                _give(path, group, stat.S_IMODE(path.stat().st_mode) | (0o050 if path.is_dir() else 0o040))
    except OSError as error:
        what = f"cannot be opened to the group ({error.strerror or type(error).__name__})"
        remedy = "run this as the account that owns the site folder, outside the service"
        raise MachineError(str(error.filename or home.folder), what, remedy) from None
    changed = Connection(coordinator=connection.coordinator, port=connection.port, app_socket=socket)
    write_whole(home.connection, changed.model_dump_json(indent=2).encode() + b"\n")


def _give(path: Path, group: int, mode: int) -> None:
    """Give a file of ours to the group; those that the app's account made are right as they are."""
    status = path.stat()
    if status.st_uid != os.geteuid() and is_shared(path.parent):
        return
    if status.st_gid != group:
        os.chown(path, -1, group)
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)


def require_separate(home: Home) -> None:
    """Require that what both accounts need is open to the group, and nothing else.

    Raises:
        InputError: if something is not; nothing is required where the gate starts the app itself.
    """
    socket = read_connection(home).app_socket
    if socket is not None and (wrong := closed_or_open(home)):
        what = "is not as the app's account needs it, or can be read by it"
        separate = shlex.join(["consilium", "site", "separate", str(home.folder), "--socket", str(socket)])
        raise MachineError(str(wrong[0]), what, f"run `{separate}`")


def closed_or_open(home: Home) -> tuple[Path, ...]:
    """List what the app's account cannot use though it must, or can though it must not."""
    wrong = [access.path for access in (*passed(home), *shared(home)) if not _is_right(access)]
    group = home.folder.stat().st_gid
    with suppress(InputError):  # other checks tell of a site.toml that is not usable
        wrong += [path for path in read(home) if path.exists() and not _is_read(path, group)]
    return tuple(wrong)


def _is_right(access: Access) -> bool:
    try:
        return access.is_right
    except OSError:
        return False


def _is_read(path: Path, group: int) -> bool:
    status = path.stat()
    needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    mode = status.st_mode & 0o7 | (status.st_mode >> 3 & 0o7 if status.st_gid == group else 0)
    return mode & needed == needed
