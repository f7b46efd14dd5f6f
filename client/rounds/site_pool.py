"""What a process keeps between messages: every site it has opened, as long as their patients fit in memory.

In a simulation one process plays many hospitals, in the same order every round. Keeping those used last would then keep
none that is asked for again: with room for all but one, each is thrown out just before its turn. So the first ones
stay, and a site that finds no room is read anew for each message. It makes room for itself only by what nobody asked
for since its own last time: that belongs to a run that is over.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from client.training.device import Device
from client.training.memory import free_bytes

SHARE = 0.5
"""Of the memory that is free when the first site is opened, what the sites of all processes may take together."""


Key = tuple[str, ...]


Site = TypeVar("Site")


@dataclass(frozen=True)
class _Entry(Generic[Site]):
    site: Site
    version: tuple[int, ...]
    size: int


class Opened(Generic[Site]):
    """Sites by key, the first ones that fit.

    Args:
        size: bytes of a site.
        room: bytes for all of them; by default this process's part of `SHARE`, if every core has such a process.
    """

    def __init__(self, size: Callable[[Site], int], room: int | None = None) -> None:
        self._size, self._room = size, room
        self._kept: dict[Key, _Entry[Site]] = {}
        self._last: dict[Key, int] = {}
        self._now = 0

    def get(self, key: Key, version: tuple[int, ...], build: Callable[[], Site]) -> Site:
        """The site that was kept under a key, if it was of this version; else the one that `build` makes now."""
        self._now += 1
        last, self._last[key] = self._last.get(key), self._now
        kept = self._kept.get(key)
        if kept is not None and kept.version == version:
            return kept.site
        self._kept.pop(key, None)
        site = build()
        entry = _Entry(site, version, self._size(site))
        if not self._fits(entry) and last is not None:
            self._kept = {other: each for other, each in self._kept.items() if self._last[other] > last}
        if self._fits(entry):
            self._kept[key] = entry
        return site

    def close(self) -> None:
        """Keep nothing."""
        self._kept, self._last = {}, {}

    def _fits(self, entry: _Entry[Site]) -> bool:
        if self._room is None:
            self._room = int(SHARE * free_bytes(Device(sharing=_cores())))
        return sum(each.size for each in self._kept.values()) + entry.size <= self._room


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
