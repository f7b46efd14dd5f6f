"""A supervisor is found again by what it wrote, and a process that merely has its number is never taken for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import InputError, StateError
from common.processes import supervision_state
from common.processes.supervision_state import (
    ServiceState,
    State,
    birth_of,
    end_supervisor,
    last_state,
    leftovers,
    leftovers_text,
    read_state,
)

FOREVER = "import threading; threading.Event().wait()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {FOREVER}"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "services.json"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends when it is told to."""
    with subprocess.Popen([sys.executable, "-c", FOREVER]) as started:
        yield started
        started.kill()


def written(state: Path, pid: int, birth: str | None) -> State:
    assert birth is not None
    found = State(pid=pid, birth=birth, services={"one": ServiceState(pid=7, restarts=2, last_exit=-9)})
    state.write_text(found.model_dump_json())
    return found


def test_a_birth_is_a_processs_own_and_stays_the_same(process: subprocess.Popen[bytes]) -> None:
    birth = birth_of(process.pid)
    assert birth is not None
    assert birth == birth_of(process.pid)
    assert birth != birth_of(os.getpid())
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert birth.startswith(f"{boot}:"), "clock ticks begin anew with every boot"


def test_a_process_that_is_over_has_no_birth_even_before_its_parent_knows(
    process: subprocess.Popen[bytes],
) -> None:
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert Path(f"/proc/{process.pid}").exists()
    assert birth_of(process.pid) is None
    process.wait()
    assert birth_of(process.pid) is None


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields(tmp_path: Path) -> None:
    odd = tmp_path / "a) Z (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "1000"]) as started:
        try:
            birth = birth_of(started.pid)
            assert birth is not None
            assert birth.rpartition(":")[2].isdigit()
        finally:
            started.kill()


def test_the_state_of_a_living_supervisor_is_read(state: Path) -> None:
    found = written(state, os.getpid(), birth_of(os.getpid()))
    assert found.alive
    assert read_state(state) == last_state(state) == found


def test_of_a_dead_one_only_the_last_state_is_left(state: Path) -> None:
    found = written(state, os.getpid(), "another boot:1")
    assert not found.alive
    assert (read_state(state), last_state(state)) == (None, found)
    assert not end_supervisor(state)


def test_what_a_killed_supervisor_left_running_is_told_and_no_stranger_with_its_number(
    state: Path, process: subprocess.Popen[bytes]
) -> None:
    mine = ServiceState(pid=process.pid, birth=birth_of(process.pid))
    services = {
        "mine": mine,
        "reused": ServiceState(pid=process.pid, birth="boot:1"),
        "between": ServiceState(),
    }
    killed = State(pid=os.getpid(), birth="another boot:1", services=services)
    state.write_text(killed.model_dump_json())
    assert leftovers(state) == {"mine": process.pid}
    told = leftovers_text(leftovers(state), "`consilium site stop`")
    assert all(fact in told for fact in ("mine", str(process.pid), "`consilium site stop`"))
    birth = birth_of(os.getpid())
    assert birth is not None
    state.write_text(killed.model_copy(update={"birth": birth}).model_dump_json())
    assert leftovers(state) == {}, "their supervisor runs"
    state.unlink()
    assert leftovers(state) == {}


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"CANARY-8371", b"\xff\xfe", b'{"pid": "many", "birth": "b"}']
)
def test_a_file_that_is_missing_or_torn_is_no_state(state: Path, content: bytes | None) -> None:
    if content is not None:
        state.write_bytes(content)
    assert last_state(state) is None
    assert read_state(state) is None
    assert not end_supervisor(state)


def test_a_supervisor_is_asked_to_end_and_waited_for(state: Path, process: subprocess.Popen[bytes]) -> None:
    written(state, process.pid, birth_of(process.pid))
    assert end_supervisor(state)
    assert process.wait() == -signal.SIGTERM
    assert not end_supervisor(state)


def test_one_that_does_not_end_in_time_is_named_and_left_alone(state: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as deaf:
        try:
            assert deaf.stdout is not None
            assert deaf.stdout.readline() == b"deaf\n"
            written(state, deaf.pid, birth_of(deaf.pid))
            with pytest.raises(StateError) as refused:
                end_supervisor(state, patience_s=0.05)
            assert str(deaf.pid) in refused.value.what
            assert deaf.poll() is None
        finally:
            deaf.kill()


def test_a_stranger_that_took_the_number_meanwhile_gets_no_signal(
    state: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor ends between the look at its file and the signal, and another process gets its number."""
    found = written(state, process.pid, "this boot:1")
    monkeypatch.setattr(supervision_state, "read_state", lambda path: found)
    with suppress(InputError):  # for the stranger goes on
        end_supervisor(state, patience_s=0.05)
    assert process.poll() is None
