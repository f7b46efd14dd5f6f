import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from common.errors import StateError
from common.processes.supervision import Pace, Service, end_leftovers, rotate, supervise
from common.processes.supervision_state import State, birth_of, end_supervisor, leftovers, read_state
from tests.leftover import left_running

FOREVER = "import time\nwhile True: time.sleep(0.05)"
DEADLINE_S = 30


def until(condition: Callable[[], bool]) -> None:
    """Wait for something another process does, with a deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.02)


def python(name: str, code: str, delay_s: float = 0.05, healthy: Callable[[], bool] | None = None) -> Service:
    return Service(name, (sys.executable, "-c", code), {"SERVICE": name}, delay_s, healthy)


def gone(pid: int) -> bool:
    return birth_of(pid) is None


class Supervised:
    """A supervisor in a thread of the test."""

    def __init__(self, folder: Path) -> None:
        self.pace = Pace(poll_s=0.02, health_every_s=0.02)
        self.state, self.logs = folder / "services.json", folder / "logs"
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, *services: Service) -> "Supervised":
        self._thread = threading.Thread(
            target=supervise, args=(services, self.state, self.logs, self.stopping, self.pace)
        )
        self._thread.start()
        until(lambda: read_state(self.state) is not None)
        return self

    def now(self) -> State:
        found = read_state(self.state)
        assert found is not None
        return found

    def pid(self, name: str) -> int:
        until(lambda: self.now().services[name].pid is not None)
        pid = self.now().services[name].pid
        assert pid is not None
        return pid

    def stop(self) -> None:
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(DEADLINE_S)
            assert not self._thread.is_alive()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    running = Supervised(tmp_path)
    yield running
    running.stop()


def test_a_killed_service_comes_back_and_the_state_says_so(supervised: Supervised) -> None:
    supervised.run(python("one", FOREVER), python("two", FOREVER))
    first, other = supervised.pid("one"), supervised.pid("two")
    os.kill(first, signal.SIGKILL)
    until(lambda: supervised.now().services["one"].restarts == 1)
    again = supervised.now()
    assert supervised.pid("one") != first
    assert again.services["one"].last_exit == -signal.SIGKILL
    assert (again.services["two"].pid, again.services["two"].restarts) == (other, 0)
    assert again.services["one"].started is not None


def test_stopping_ends_every_process_of_every_group(supervised: Supervised, tmp_path: Path) -> None:
    grandchild = f"""
import subprocess, sys, pathlib, signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
pathlib.Path({str(tmp_path / "grandchild")!r}).write_text(str(child.pid))
{FOREVER}
"""
    supervised.run(python("parent", grandchild))
    until(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text() != "")
    processes = [supervised.pid("parent"), int((tmp_path / "grandchild").read_text())]
    supervised.stop()
    assert all(gone(pid) for pid in processes)
    assert not supervised.state.exists()


def test_what_does_not_heed_sigterm_is_killed(supervised: Supervised) -> None:
    supervised.pace = replace(supervised.pace, grace_s=0.3)
    deaf = (
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n{FOREVER}"
    )
    supervised.run(python("deaf", deaf))
    until(lambda: b"deaf" in (supervised.logs / "deaf.log").read_bytes())
    pid = supervised.pid("deaf")
    supervised.stop()
    assert gone(pid)


def test_a_zombie_is_killed_and_restarted(supervised: Supervised) -> None:
    supervised.pace = replace(supervised.pace, unhealthy_s=0.2)
    answers = {"healthy": True}
    supervised.run(python("node", FOREVER, healthy=lambda: answers["healthy"]))
    until(lambda: supervised.now().services["node"].healthy is True)
    first = supervised.pid("node")
    answers["healthy"] = False
    until(lambda: supervised.now().services["node"].restarts >= 1)
    answers["healthy"] = True
    until(lambda: supervised.now().services["node"].healthy is True)
    assert supervised.pid("node") != first
    assert supervised.now().services["node"].last_exit == -signal.SIGKILL


def test_a_service_that_keeps_ending_is_restarted_more_and_more_slowly(supervised: Supervised) -> None:
    supervised.run(python("broken", "import time; print(time.time(), flush=True); raise SystemExit(7)", 0.2))
    log = supervised.logs / "broken.log"
    until(lambda: len(log.read_text().splitlines()) >= 4)
    times = [float(line) for line in log.read_text().splitlines()[:4]]
    waits = [after - before for before, after in pairwise(times)]
    assert waits[0] >= 0.2
    assert waits[1] >= 0.4
    assert waits[2] >= 0.8
    assert supervised.now().services["broken"].last_exit == 7


def test_output_goes_to_a_log_that_stays_below_its_size(
    supervised: Supervised,
) -> None:
    supervised.pace = replace(supervised.pace, log_bytes=1000)
    talk = "import os, time\nwhile True: print(os.environ['SERVICE'] * 20, flush=True); time.sleep(0.001)"
    supervised.run(python("talk", talk))
    logs = supervised.logs
    until(lambda: (logs / "talk.log.3").exists() and (logs / "talk.log").read_bytes() != b"")
    assert not (logs / "talk.log.4").exists()
    assert (logs / "talk.log.2").read_bytes().startswith(b"talk")


def test_a_second_supervisor_is_refused_and_a_dead_ones_services_are_ended(tmp_path: Path) -> None:
    state, logs = tmp_path / "services.json", tmp_path / "logs"
    code = f"""
import sys, threading, pathlib
from common.processes.supervision import Service, supervise
service = Service("one", (sys.executable, "-c", {FOREVER!r}), {{}}, 1.0)
supervise([service], pathlib.Path({str(state)!r}), pathlib.Path({str(logs)!r}), threading.Event())
"""
    first = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: read_state(state) is not None)
        with pytest.raises(StateError) as refused:
            supervise([], state, logs, threading.Event())
        assert str(first.pid) in refused.value.what
        orphan = State.model_validate_json(state.read_bytes()).services["one"].pid
        assert orphan is not None
    finally:
        first.kill()
        first.wait()
    assert not gone(orphan)
    assert read_state(state) is None
    over = threading.Event()
    over.set()
    supervise([], state, logs, over)
    assert gone(orphan)


def test_a_process_with_the_number_of_a_dead_one_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", FOREVER], start_new_session=True)
    try:
        state = tmp_path / "services.json"
        one = {"pid": stranger.pid, "birth": "another boot:1"}
        state.write_text(State.model_validate({**one, "services": {"one": one}}).model_dump_json())
        assert read_state(state) is None
        assert not end_supervisor(state)
        over = threading.Event()
        over.set()
        supervise([], state, tmp_path / "logs", over)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_command_that_is_not_there_ends_what_was_started(tmp_path: Path) -> None:
    services = [python("one", FOREVER), Service("none", ("/no/such/command",), {}, 1.0)]
    with pytest.raises(FileNotFoundError):
        supervise(services, tmp_path / "services.json", tmp_path / "logs", threading.Event())
    assert not (tmp_path / "services.json").exists()


def test_what_a_killed_supervisor_left_running_is_ended_and_named(tmp_path: Path) -> None:
    state = tmp_path / "services.json"
    with left_running(state, "node") as pid:
        assert end_leftovers(state) == ("node",)
        assert gone(pid)
        assert leftovers(state) == {}
        assert end_leftovers(state) == ()


def test_a_removed_log_ends_nothing_and_is_told_once(
    supervised: Supervised, capfd: pytest.CaptureFixture[str]
) -> None:
    supervised.pace = replace(supervised.pace, rotation_retry_s=0.01)
    supervised.run(python("one", FOREVER))
    pid = supervised.pid("one")
    (supervised.logs / "one.log").unlink()
    told = ""
    for _ in range(20):
        threading.Event().wait(0.02)
        told += capfd.readouterr().err
    (line,) = [line for line in told.splitlines() if "one.log" in line]
    assert os.strerror(errno.ENOENT) in line
    assert (supervised.pid("one"), gone(pid)) == (pid, False)


def test_removed_logs_are_begun_anew_with_the_next_process(supervised: Supervised) -> None:
    supervised.run(python("one", FOREVER))
    first = supervised.pid("one")
    (supervised.logs / "one.log").unlink()
    supervised.logs.rmdir()
    os.killpg(first, signal.SIGKILL)
    until(lambda: supervised.now().services["one"].pid not in (None, first))
    assert (supervised.logs / "one.log").exists()


def test_a_full_disk_ends_nothing_and_the_state_is_written_later(
    supervised: Supervised, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised.run(python("one", FOREVER))
    first, tries = supervised.pid("one"), []

    def full(_: int) -> None:
        tries.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        os.killpg(first, signal.SIGKILL)
        until(lambda: len(tries) > 5)
    until(lambda: supervised.now().services["one"].pid not in (None, first))
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "services.json" in line]
    assert os.strerror(errno.ENOSPC) in line


def test_a_rotation_that_fails_costs_no_older_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "one.log"
    for number, place in enumerate([log, *(tmp_path / f"one.log.{number}" for number in (1, 2, 3))]):
        place.write_text(f"log {number}")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError):
            rotate(log, 3)
    assert [(tmp_path / f"one.log{end}").read_text()[-1] for end in ("", ".1", ".2", ".3")] == list("0123")
    rotate(log, 3)
    assert [(tmp_path / f"one.log.{number}").read_text()[-1] for number in (1, 2, 3)] == list("012")
    assert log.read_text() == ""
