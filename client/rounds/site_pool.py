"""Keep-first cache of open sites: sites that fit in memory stay open.

Later ones are assembled anew for each message.

In a simulation one process plays many hospitals, in the same order every round. A cache that kept the sites used last
would then keep none that is asked for again: with room for all but one, each site is evicted just before its turn. A
site evicts only entries unused since its own previous request, which belong to a finished run.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from client.training.device import Device

SHARE = 0.5
"""Share of the memory that is free when the first site is opened, for the sites of all processes together."""


Key = tuple[str, ...]


Site = TypeVar("Site")


@dataclass(frozen=True)
class _Entry(Generic[Site]):
    site: Site
    version: tuple[int, ...]
    size: int


class SitePool(Generic[Site]):
    """Sites by key, the first ones that fit.

    Args:
        size: bytes of a site.
        room: bytes for all of them; by default this process's part of `SHARE`, if every core has such a process.
    """

    def __init__(self, size: Callable[[Site], int], room: int | None = None) -> None:
        self._size, self._room = size, room
        self._entries: dict[Key, _Entry[Site]] = {}
        self._last_request: dict[Key, int] = {}
        self._requests = 0

    def get(self, key: Key, version: tuple[int, ...], build: Callable[[], Site]) -> Site:
        """Return the site under a key if it is of this version; else the site that `build` makes."""
        self._requests += 1
        previous, self._last_request[key] = self._last_request.get(key), self._requests
        entry = self._entries.get(key)
        if entry is not None and entry.version == version:
            return entry.site
        self._entries.pop(key, None)
        site = build()
        entry = _Entry(site, version, self._size(site))
        if not self._fits(entry) and previous is not None:
            self._evict_unused_since(previous)
        if self._fits(entry):
            self._entries[key] = entry
        return site

    def close(self) -> None:
        """Forget every site."""
        self._entries, self._last_request = {}, {}

    def _evict_unused_since(self, request: int) -> None:
        self._entries = {
            key: entry for key, entry in self._entries.items() if self._last_request[key] > request
        }

    def _fits(self, entry: _Entry[Site]) -> bool:
        if self._room is None:
            self._room = int(SHARE * Device(sharing=_cores()).free_bytes())
        return sum(other.size for other in self._entries.values()) + entry.size <= self._room


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
