"""Check of a site's local port: its SuperNode listens there, nobody, or something else."""

import os
from collections.abc import Iterator
from pathlib import Path

from client.doctor.finding import Finding, FindingCode, fail, ok, warn
from client.runtime.local_port import is_free
from client.runtime.services import state_file
from client.site_folder.places import Home, read_connection
from common.processes.supervision_state import read_state

_LISTENS = "0A"
"""A socket's state in the kernel's tables."""


def port(home: Home) -> Iterator[Finding]:
    """Check that the port is this site's or free."""
    number, running = read_connection(home).port, read_state(state_file(home))
    if is_free(number):
        if running is None:
            yield ok("local port", f"{number} is free")
        else:
            message = f"{number} is not listened on yet, though the site runs"
            remedy = f"wait a minute; then look at {home.logs}"
            yield warn("local port", FindingCode.PORT_SILENT, message, remedy)
    elif running is not None and _listens(running.pid, number):
        yield ok("local port", f"{number}, in use by this site, which is running")
    else:
        message = f"{number} is in use by something else than this site's SuperNode"
        remedy = f"end what uses it, or stop the site and change the port in {home.connection}"
        yield fail("local port", FindingCode.PORT_TAKEN, message, remedy)


def _listens(supervisor: int, port: int) -> bool:
    """Whether a process below the supervisor listens on the port, by Linux's tables."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    parents = dict(_parents())
    for process in parents:
        above: int | None = process
        while above is not None and above != supervisor:
            above = parents.get(above)
        if above == supervisor and sockets & set(_open_files(process)):
            return True
    return False


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port, at any address."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _parents() -> Iterator[tuple[int, int]]:
    """Pairs (process, its parent) of all running processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (
                (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            continue
        yield int(folder.name), int(fields[1])


def _open_files(process: int) -> Iterator[str]:
    """Targets of the descriptors of a process; none if the process is another user's or over."""
    try:
        descriptors = os.listdir(f"/proc/{process}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield os.readlink(f"/proc/{process}/fd/{descriptor}")
        except OSError:
            continue
