"""Logs of the coordinator's services: their names and their last lines."""

import os
from pathlib import Path

from server.home.places import CoordinatorHome
from server.services.door import PROXY
from server.services.processes import SUPEREXEC, SUPERLINK, TRACKER


def services_of(home: CoordinatorHome) -> tuple[str, ...]:
    """List the services of a coordinator by name."""
    tracker = () if home.settings().tracking is None else (TRACKER,)
    return (SUPERLINK, SUPEREXEC, PROXY, *tracker)


_CHUNK = 1 << 16


def last_lines(home: CoordinatorHome, service: str, lines: int) -> list[str]:
    """Read the last lines of a service's log, none before it is there."""
    return _tail(home.logs / f"{service}.log", lines)


def _tail(log: Path, lines: int) -> list[str]:
    if not log.is_file():
        return []
    with log.open("rb") as file:
        start, content = file.seek(0, os.SEEK_END), b""
        while start > 0 and content.count(b"\n") <= lines:
            step = min(_CHUNK, start)
            start -= step
            file.seek(start)
            content = file.read(step) + content
    return content.decode("utf-8", errors="replace").splitlines()[-lines:]
