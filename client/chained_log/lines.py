"""Lines of a log file: appended durably, and cut back to whole ones after a crash."""

import os
from pathlib import Path

from common.files import naming, open_lasting

_BLOCK = 4096


def append_line(path: Path, line: bytes) -> None:
    """Append a line; when this returns, the line outlasts a power cut.

    Raises:
        OSError: if it cannot be written.
    """
    with naming(path), os.fdopen(open_lasting(path, os.O_WRONLY | os.O_APPEND, 0o666), "ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path, start: int = 0) -> tuple[list[bytes], bytes]:
    """Read (whole lines, unfinished rest) from a byte on; both are empty if there is no file."""
    if not path.exists():
        return [], b""
    with path.open("rb") as file:
        file.seek(start)
        *lines, rest = file.read().split(b"\n")
    return lines, rest


def start_of_line(path: Path, end: int) -> int:
    """Find the first byte of the line that ends just before the byte `end`."""
    with path.open("rb") as file:
        start = end - 1  # the line's own end
        while start > 0:
            block = min(_BLOCK, start)
            file.seek(start - block)
            before = file.read(block).rfind(b"\n")
            if before >= 0:
                return start - block + before + 1
            start -= block
    return 0


def cut_unfinished(path: Path) -> None:
    """Cut off what a crash left of a last line."""
    _, rest = whole_lines(path)
    if rest:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(rest))
            os.fsync(file.fileno())
