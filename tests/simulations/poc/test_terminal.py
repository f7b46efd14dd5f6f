import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.processes.supervision_state import birth_of
from simulations.poc.terminal import CommandFailed, Running, Terminal, end_all, last_words

WAITING = "import signal, sys, time; print('on', flush=True); time.sleep(60)"


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def terminal(tmp_path: Path, shown: list[str]) -> Terminal:
    return Terminal(tmp_path, {"CONSILIUM_STATE": str(tmp_path / "state")}, shown.append)


def test_commands_run_in_the_folder_and_are_shown_as_they_are_typed(
    terminal: Terminal, shown: list[str], tmp_path: Path
) -> None:
    terminal.run("coordinator", "init", "our home", "--host", "localhost", "--port", 9443)
    assert (tmp_path / "our home" / "ca.crt").is_file()
    assert shown == ["consilium coordinator init 'our home' --host localhost --port 9443"]


def test_a_command_that_fails_tells_its_sentence_and_its_code(terminal: Terminal) -> None:
    with pytest.raises(CommandFailed) as failed:
        terminal.run_together([("--help",), ("site", "status", "nowhere")])
    assert failed.value.code == 2
    assert failed.value.command == "consilium site status nowhere"
    assert str(failed.value).count("\n") == 0
    assert "nowhere" in failed.value.sentence


def sleeper(log: Path) -> Running:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=output, start_new_session=True)
    return Running("consilium coordinator start", process, log)


def test_a_followed_command_ends_with_those_it_needs(terminal: Terminal, tmp_path: Path) -> None:
    needed = sleeper(tmp_path / "log")
    lines: list[str] = []
    assert terminal.follow(lines.append, [needed], "--version-that-is-not-there") == 2
    assert lines
    needed.require()
    needed.process.kill()
    needed.process.wait()
    with pytest.raises(CommandFailed) as failed:
        terminal.follow(lines.append, [needed], "plugins", "list")
    assert failed.value.code == 1
    assert "SIGKILL" in failed.value.sentence


def test_processes_that_do_not_heed_sigterm_are_killed_with_their_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulations.poc.terminal.GRACE_S", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    processes = [
        subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    end_all(processes)
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()


PARENT = """
import subprocess, sys, time, os
from simulations.poc.terminal import _end_with
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=lambda parent=os.getpid(): _end_with(parent)
)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_command_ends_with_its_parent_however_that_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert birth_of(child) is not None
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    end = time.monotonic() + 20
    while birth_of(child) is not None:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        ("a\nconsilium: nginx: is not installed; install it.\n", 2, "nginx: is not installed; install it"),
        ("Usage: ...\nError: no such option", 2, "Error: no such option"),
        ("Dialling localhost:9443.", -9, "was killed by SIGKILL"),
        ("", 1, "ended with exit code 1"),
        ("Ready after 2 s", 0, "ended with exit code 0"),
    ],
)
def test_last_words_are_a_sentence(output: str, code: int, words: str) -> None:
    assert last_words(output, code) == words
