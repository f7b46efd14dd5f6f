"""Lock of a run's folder, held by the process that coordinates the run.

One process does so at a time, and anybody can see whether one does. The system releases the lock of a process that
ends, however it ends. Flower needs a minute to notice.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.errors import StateError

STATE = "state"
"""Folder in a run's folder, of its checkpoint and its lock."""


LOCK = "lock"


LOOKS = 20
"""Attempts at the lock, 50 ms apart."""


@dataclass(frozen=True)
class Coordination:
    """Process that coordinates a run, or did last.

    Attributes:
        flower_run: Flower's number of the submission that it belongs to; None before the first.
        is_alive: whether it goes on.
    """

    flower_run: int | None
    is_alive: bool


@contextmanager
def alone(out: Path, flower_run: int) -> Iterator[None]:
    """Be the only process that coordinates the run of a folder.

    Args:
        out: the run's folder.
        flower_run: Flower's number of this submission.

    Raises:
        StateError: if another one does.
    """
    (out / STATE).mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(out / STATE / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(descriptor):
            what, remedy = "is coordinated by another process", "wait for its end, or cancel the run"
            raise StateError(str(out), what, remedy)
        os.truncate(descriptor, 0)
        os.write(descriptor, str(flower_run).encode())
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock; somebody who only looks has it for a moment."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def coordination(out: Path) -> Coordination:
    """Look which process coordinates the run of a folder, or did last."""
    try:
        descriptor = os.open(out / STATE / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Coordination(None, is_alive=False)
    is_alive = False
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alive = True
        text = file.read()
    return Coordination(int(text) if text.isdigit() else None, is_alive)
