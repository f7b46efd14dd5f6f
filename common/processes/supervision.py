"""Supervisor of a few processes: starts them, restarts one that ended, ends all when asked.

Each service leads a session, and so a process group, of its own; only groups started here are ever signalled.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from common.errors import StateError
from common.files import write_whole
from common.processes.supervision_state import ServiceState, State, birth_of, leftovers, read_state

LOGS_KEPT = 3


@dataclass(frozen=True)
class Pace:
    """Intervals and sizes of a supervision.

    Attributes:
        poll_s: seconds between two looks at the services.
        health_every_s: seconds between two questions to `healthy`.
        unhealthy_s: seconds without a yes, from the start or the last one, after which a service is killed.
        settled_s: seconds after which a service is restarted without back-off; also the longest delay of a back-off.
        grace_s: seconds between SIGTERM and SIGKILL.
        rotation_retry_s: seconds after a log could not be rotated until it is tried again.
        log_bytes: size at which a log is rotated.
    """

    poll_s: float = 0.2
    health_every_s: float = 5.0
    unhealthy_s: float = 60.0
    settled_s: float = 60.0
    grace_s: float = 10.0
    rotation_retry_s: float = 60.0
    log_bytes: int = 10_000_000


USUAL = Pace()


@dataclass(frozen=True)
class Service:
    """A process to keep running.

    Attributes:
        name: of its log and its entry in the state file.
        command: absolute path or name on PATH, and arguments.
        env: added to the supervisor's own environment.
        restart_delay_s: seconds from its end to its restart; doubled while it keeps ending within `Pace.settled_s`.
        healthy: whether it does its work, answered within seconds; without it, running is enough.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    restart_delay_s: float
    healthy: Callable[[], bool] | None = None


def supervise(
    services: Sequence[Service], state: Path, logs: Path, stopping: threading.Event, pace: Pace = USUAL
) -> None:
    """Keep services running until `stopping` is set; the state file tells of each change.

    Once they run, a log that cannot be rotated or a state that cannot be written is told of on stderr and tried again:
    a full disk or a removed log ends no service.

    Raises:
        InputError: if another supervisor runs on the same state file.
        OSError: if a command cannot be started, or the state not be written, the first time.
    """
    if (running := read_state(state)) is not None:
        raise StateError(str(state), f"process {running.pid} runs these services", "stop it first")
    end_leftovers(state)
    logs.mkdir(parents=True, exist_ok=True)
    watched = [_Watched(service, logs / f"{service.name}.log", pace) for service in services]
    try:
        for process in watched:
            process.start()
        _write(state, watched)
        troubles, written = _Troubles(), True
        while not stopping.wait(pace.poll_s):
            for process in watched:
                written &= not process.look()
            if not written:
                with troubles.told(f"{state} could not be written"):
                    _write(state, watched)
                    written = True
    finally:
        _end(
            [process.group for process in watched if process.group is not None],
            [process.ended for process in watched],
            pace,
        )
        state.unlink(missing_ok=True)


class _Watched:
    """A service, its process if it has one, and when what is due."""

    def __init__(self, service: Service, log: Path, pace: Pace) -> None:
        self.service, self.state = service, ServiceState()
        self._log, self._pace = log, pace
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._asked = self._last_yes = self._due = self._rotation_due = 0.0
        self._quick = 0
        self._troubles = _Troubles()

    @property
    def group(self) -> int | None:
        """Process group of the service; None if no process runs."""
        return None if self._process is None else self._process.pid

    def ended(self) -> bool:
        """Whether its process is over."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start the process, its output appended to the log."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.service.command,
                env={**os.environ, **self.service.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._began = self._last_yes = self._asked = time.monotonic()
        self.state = self.state.model_copy(
            update={
                "pid": self._process.pid,
                "birth": birth_of(self._process.pid),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "healthy": None,
            }
        )

    def look(self) -> bool:
        """Do what is due; whether the state changed."""
        now = time.monotonic()
        if now >= self._rotation_due:
            self._rotation_due = now + self._pace.rotation_retry_s
            with self._troubles.told(f"{self._log} could not be kept below its size"):
                rotate(self._log, self._pace.log_bytes)
                self._rotation_due = now
        if self._process is None:
            return self._restart(now)
        if (code := self._process.poll()) is not None:
            self._over(code, now)
            return True
        return self._ask(now)

    def _restart(self, now: float) -> bool:
        if now < self._due:
            return False
        self.state = self.state.model_copy(update={"restarts": self.state.restarts + 1})
        try:
            self.start()
        except OSError as error:  # a command that is being replaced, for instance
            self._over(error.errno or 1, now)
        return True

    def _over(self, code: int, now: float) -> None:
        """The process has ended: what is left of its group goes too, since a restart would meet it."""
        if self._process is not None:
            _signal(self._process.pid, signal.SIGKILL)
        self._process = None
        self._quick = self._quick + 1 if now - self._began < self._pace.settled_s else 0
        delay = self.service.restart_delay_s
        self._due = now + max(delay, min(delay * 2 ** max(self._quick - 1, 0), self._pace.settled_s))
        self.state = self.state.model_copy(
            update={"pid": None, "birth": None, "last_exit": code, "healthy": None}
        )

    def _ask(self, now: float) -> bool:
        if self.service.healthy is None or now - self._asked < self._pace.health_every_s:
            return False
        healthy = self.service.healthy()
        self._asked = time.monotonic()
        if healthy:
            self._last_yes = self._asked
        elif self._asked - self._last_yes >= self._pace.unhealthy_s and self._process is not None:
            _signal(self._process.pid, signal.SIGKILL)
        changed = healthy != self.state.healthy
        self.state = self.state.model_copy(update={"healthy": healthy})
        return changed


class _Troubles:
    """Failures to write, each reported on stderr once until writing succeeds again."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Do something that may fail for want of a file or of room, which ends nothing."""
        try:
            yield
        except OSError as error:
            if what not in self._known:
                reason = error.strerror or type(error).__name__
                print(f"consilium: {what} ({reason}); the services run on", file=sys.stderr, flush=True)
            self._known.add(what)
        else:
            self._known.discard(what)


def _end(groups: Sequence[int], ended: Sequence[Callable[[], bool]], pace: Pace = USUAL) -> None:
    """SIGTERM to every group, and SIGKILL to what is left of them after the grace."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    end = time.monotonic() + pace.grace_s
    while time.monotonic() < end:
        running = sum(not leader() for leader in ended)  # asks, and so reaps, each
        if not running and not any(_signal(group, 0) for group in groups):
            return
        time.sleep(pace.poll_s / 4)
    for group in groups:
        _signal(group, signal.SIGKILL)
    while sum(not leader() for leader in ended):
        time.sleep(pace.poll_s / 4)


def end_leftovers(state: Path) -> tuple[str, ...]:
    """End the services that a supervisor that was killed left running; their names."""
    left = leftovers(state)
    groups = list(left.values())
    _end(groups, [partial(_gone, group) for group in groups])
    return tuple(left)


def _gone(pid: int) -> bool:
    return birth_of(pid) is None


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; False if it is no longer there."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _write(state: Path, watched: Sequence[_Watched]) -> None:
    mine = os.getpid()
    services = {process.service.name: process.state for process in watched}
    content = State(pid=mine, birth=birth_of(mine) or "", services=services)
    write_whole(state, content.model_dump_json(indent=2).encode() + b"\n")


def rotate(log: Path, size: int) -> None:
    """Keep a log below a size in bytes by copying it aside and emptying it.

    Its writers append, and need not know.
    """
    if log.stat().st_size < size:
        return
    kept = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, LOGS_KEPT + 1))]
    aside = log.with_name(f"{log.name}.tmp")  # whole before any older one is moved: the disk may be full
    try:
        aside.write_bytes(log.read_bytes())
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    for older, newer in zip(kept[:1:-1], kept[-2:0:-1], strict=True):
        if newer.exists():
            newer.replace(older)
    aside.replace(kept[1])
    os.truncate(log, 0)
