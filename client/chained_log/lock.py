"""Lock of a log: processes of a site that write a log do so one after another."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.files import open_lasting

PATIENCE_S = 60.0
"""Time that a process waits for another one to finish writing."""


_INTERVAL_S = 0.01


@contextmanager
def exclusive(
    log: Path,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Keep other processes from writing a log; a process that dies releases the lock.

    The lock file lies beside the log and is never removed: a process that waits for a removed file would have the
    lock together with one that made the file anew.

    Raises:
        OSError: if the lock file cannot be made, or another process has had the lock for `patience_s` (ETIMEDOUT).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_lasting(log.with_suffix(".lock"), os.O_RDWR, 0o600)
    try:
        _take(descriptor, log, clock() + patience_s, clock, sleep)
        yield
    finally:
        os.close(descriptor)


def _take(
    descriptor: int, log: Path, deadline: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if clock() >= deadline:
                raise OSError(errno.ETIMEDOUT, "another process is writing it", str(log)) from None
            sleep(_INTERVAL_S)
