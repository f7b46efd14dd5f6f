"""File that a person names for a command's output: new, or a plain one that may go."""

import stat
from collections.abc import Iterable
from pathlib import Path

from common.errors import OptionError


def require_output(out: Path, kept: Iterable[Path]) -> None:
    """Require that a file can be written whole without the loss of anything else.

    A file written whole takes the place of whatever has its name, be it a device.

    Args:
        out: the file.
        kept: files that stay as they are, and folders in which no file is replaced.

    Raises:
        OptionError: if there is a link, a folder, a pipe or a device, or a file that stays.
        OSError: if that cannot be seen.
    """
    try:
        mode = out.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise OptionError(str(out), "is a folder", "name a file in it")
    if stat.S_ISLNK(mode):
        raise OptionError(str(out), "is a link", "name the file itself, or another one")
    if not stat.S_ISREG(mode):
        raise OptionError(str(out), "is no file but a pipe or a device", "name a file")
    whole = out.resolve()
    for path in kept:
        if path.exists() and (out.samefile(path) or (path.is_dir() and whole.is_relative_to(path.resolve()))):
            where = f"is a file of {path}" if path.is_dir() else "is a file that is read"
            raise OptionError(str(out), f"{where}, and would be replaced", "name a file elsewhere")
