"""Lines of a log file: appended durably, and cut back to whole ones after a crash."""

import os
from pathlib import Path


def append_line(path: Path, line: bytes) -> None:
    """Append a line; when this returns, the line outlasts a power cut.

    Raises:
        OSError: if it cannot be written.
    """
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> tuple[list[bytes], bytes]:
    """Read (whole lines, unfinished rest); both are empty if there is no file."""
    *lines, rest = (path.read_bytes() if path.exists() else b"").split(b"\n")
    return lines, rest


def cut_unfinished(path: Path) -> None:
    """Cut off what a crash left of a last line."""
    _, rest = whole_lines(path)
    if rest:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(rest))
            os.fsync(file.fileno())
