"""State file of a supervisor, by which others see whether the supervisor runs, and end it.

A process is told from a later one with the same number by when it was started.
"""

import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import StateError

PATIENCE_S = 30.0
"""Seconds to wait for a supervisor to end everything."""


class ServiceState(BaseModel):
    """A service at one moment.

    `pid` is None between its end and its restart; `last_exit` is negative for a signal.
    """

    model_config = ConfigDict(frozen=True)

    pid: int | None = None
    birth: str | None = None
    started: str | None = None
    restarts: int = 0
    last_exit: int | None = None
    healthy: bool | None = None


class State(BaseModel):
    """Content of the state file."""

    model_config = ConfigDict(frozen=True)

    pid: int
    birth: str
    services: dict[str, ServiceState] = {}

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote it still runs."""
        return birth_of(self.pid) == self.birth


def birth_of(pid: int) -> str | None:
    """Boot and clock tick in which a process was started; None if the process is over.

    They tell the process from any other with its number.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def read_state(state: Path) -> State | None:
    """Read the state of a running supervisor; None if none runs."""
    supervisor = last_state(state)
    return supervisor if supervisor is not None and supervisor.alive else None


def end_supervisor(state: Path, patience_s: float = PATIENCE_S) -> bool:
    """Ask the running supervisor to end everything and wait until it has; False if none runs.

    Raises:
        InputError: if it has not ended in time.
    """
    supervisor = read_state(state)
    if supervisor is None:
        return False
    try:
        process = os.pidfd_open(supervisor.pid)
    except ProcessLookupError:
        return False
    try:
        if (
            not supervisor.alive
        ):  # another process may have its number by now, and the descriptor that process
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended, _, _ = select.select([process], [], [], patience_s)
    finally:
        os.close(process)
    if not ended:
        raise StateError(
            str(state), f"process {supervisor.pid} does not end", "look at its logs, then end it by its id"
        )
    return True


def leftovers(state: Path) -> dict[str, int]:
    """Service -> process, of services that still run though their supervisor was killed."""
    supervisor = last_state(state)
    if supervisor is None or supervisor.alive:
        return {}
    return {
        name: service.pid
        for name, service in supervisor.services.items()
        if service.pid is not None and service.birth is not None and birth_of(service.pid) == service.birth
    }


def leftovers_text(left: Mapping[str, int], remedy: str) -> str:
    """Describe services that a killed supervisor left running."""
    services = ", ".join(f"{name} as process {pid}" for name, pid in left.items())
    return f"the supervisor was killed; its services still run ({services}): {remedy} ends them"


def last_state(state: Path) -> State | None:
    """Read the state file, be its supervisor alive or dead."""
    try:
        return State.model_validate_json(state.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
