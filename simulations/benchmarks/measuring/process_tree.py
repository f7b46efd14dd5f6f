"""What a process and everything below it take: memory that is really theirs, and processor time. Linux alone."""

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from common.errors import InputError

_PROC = Path("/proc")


_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


EVERY_S = 0.25


def require_proc(command: str) -> None:
    """Refuse to measure what the system cannot tell.

    Raises:
        InputError: on a system without /proc/PID/smaps_rollup.
    """
    if not (_PROC / "self" / "smaps_rollup").is_file():
        raise InputError(command, "measures memory by Linux's /proc, which is not here", "run it on Linux")


def tree(pid: int) -> list[int]:
    """This process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def memory(pid: int) -> int:
    """Bytes of a process tree: proportional set size, by which a page that n processes share counts for 1/n each."""
    total = 0
    for each in tree(pid):
        try:
            found = _PSS.search((_PROC / str(each) / "smaps_rollup").read_text())
        except (OSError, ValueError):  # it has ended since
            continue
        total += int(found[1]) * 1024 if found else 0
    return total


def processor_seconds(pid: int) -> float:
    """Of a process tree so far, processes that have ended and were waited for included."""
    ticks = 0
    for each in tree(pid):
        if fields := _stat(each):
            ticks += sum(int(part) for part in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; nothing once it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@dataclass
class Watch:
    """Looks at the memory of a process tree every `EVERY_S` seconds; a context manager.

    Attributes:
        pid: the root of the tree.
        peak: the most bytes seen.
    """

    pid: int
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, memory(self.pid))
            self._over.wait(EVERY_S)
