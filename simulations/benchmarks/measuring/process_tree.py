"""Memory and processor time of a process and its descendants, on Linux."""

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from common.errors import MachineError

_PROC = Path("/proc")


_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


EVERY_S = 0.25


def require_proc(command: str, proc: Path = _PROC) -> None:
    """Refuse to measure on a system without Linux's /proc.

    Raises:
        InputError: on a system without /proc/PID/smaps_rollup.
    """
    if not (proc / "self" / "smaps_rollup").is_file():
        raise MachineError(command, "measures memory by Linux's /proc, which is not here", "run it on Linux")


def tree(pid: int) -> list[int]:
    """Ids of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    pids = [pid]
    for descendant in pids:
        pids += children.get(descendant, [])
    return pids


def memory(pid: int) -> int:
    """Bytes of a process tree, by proportional set size.

    A page that n processes share counts for 1/n in each of them.
    """
    total = 0
    for descendant in tree(pid):
        try:
            match = _PSS.search((_PROC / str(descendant) / "smaps_rollup").read_text())
        except (OSError, ValueError):  # the process has ended since
            continue
        total += int(match[1]) * 1024 if match else 0
    return total


def processor_seconds(pid: int) -> float:
    """Processor seconds of a process tree so far.

    Descendants that have ended and were waited for are included.
    """
    ticks = 0
    for descendant in tree(pid):
        if fields := _stat(descendant):
            ticks += sum(int(part) for part in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command's name; none once the process has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@dataclass
class Watch:
    """Context manager that samples the memory of a process tree every `EVERY_S` seconds.

    Attributes:
        pid: root of the tree.
        peak: most bytes of a sample.
    """

    pid: int
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Start to sample."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, memory(self.pid))
            self._over.wait(EVERY_S)
