"""One process at a time writes a log, and a dead one keeps nobody waiting."""

import errno
import os
import signal
from pathlib import Path

import pytest

from client.chained_log.lock import exclusive
from tests.client.kills import in_child


def test_who_waits_for_too_long_is_told(tmp_path: Path) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with exclusive(tmp_path / "log"):
        with (
            pytest.raises(OSError) as raised,
            exclusive(tmp_path / "log", 60.0, clock=lambda: now[0], sleep=sleep),
        ):
            pytest.fail("both have the lock")
        assert raised.value.errno == errno.ETIMEDOUT
    assert now[0] == pytest.approx(60.0, abs=0.02)
    with exclusive(tmp_path / "log", 0.0):
        pass


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    def die() -> int:
        with exclusive(tmp_path / "log"):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert in_child(die) == -signal.SIGKILL
    with exclusive(tmp_path / "log", 0.0):
        pass


def test_logs_have_locks_of_their_own(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a" / "log.sqlite"), exclusive(tmp_path / "b" / "log.sqlite", 0.0):
        assert (tmp_path / "a" / "log.lock").is_file()
