"""Free memory of the machine: the operating system's, within the limits of the container."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Limit, use, and what of it the kernel would give up; version 2 and version 1 of the kernel's interface.
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True)
class MemoryFiles:
    """Files in which the kernel tells of memory.

    Attributes:
        system: memory of the whole machine.
        groups: folder of the control groups.
        membership: control groups of this process.
    """

    system: Path = Path("/proc/meminfo")
    groups: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")


KERNEL = MemoryFiles()


def free_memory(files: MemoryFiles = KERNEL) -> int:
    """Return the bytes that the processes of this container may still take together."""
    return min([_available(files), *left_in_groups(files)])


def _available(files: MemoryFiles) -> int:
    """Return the bytes that the operating system could give without swapping."""
    if files.system.is_file():
        for line in files.system.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def left_in_groups(files: MemoryFiles = KERNEL) -> Iterator[int]:
    """Yield the bytes left below the limit of every control group of this process."""
    if not files.membership.is_file():
        return
    for line in files.membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for folder, limit, used, reclaimable in _LIMITS:
            if folder not in controllers.split(","):
                continue
            # In a container the path may be one of the host's: what is mounted is then the group itself.
            group = PurePosixPath(path.lstrip("/"))
            for ancestor in {files.groups / folder / part for part in (group, *group.parents)}:
                yield from _left(ancestor / limit, ancestor / used, ancestor / "memory.stat", reclaimable)


def _left(limit: Path, used: Path, stat: Path, reclaimable: str) -> Iterator[int]:
    try:
        most, taken = limit.read_text().strip(), int(used.read_text())
        parts = dict(line.split() for line in stat.read_text().splitlines())
    except OSError:  # no such group here, or the root, which has no limit
        return
    if most != "max":
        yield max(0, int(most) - taken + int(parts.get(reclaimable, 0)))
