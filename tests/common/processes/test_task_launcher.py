"""A SuperExec finds one command that starts a task, and refusals; services start once."""

import importlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.errors import MachineError, StateError
from common.files import write_whole
from common.processes.supervision_state import State, birth_of
from common.processes.task_launcher import (
    TASK_COMMANDS,
    TaskLauncher,
    flower_environment,
    require_stopped,
    stop_signals,
    superexec_command,
)

COMMAND = "flwr-clientapp"


@pytest.fixture
def launcher(tmp_path: Path) -> TaskLauncher:
    """A launcher that runs a module of the standard library, in a folder whose name has a meaning to shells."""
    return TaskLauncher(
        COMMAND, ("json.tool",), tmp_path / "a $home; with 'signs", "/usr/bin:/bin", "hospital"
    )


def test_every_command_of_a_superexec_is_known() -> None:
    constant = importlib.import_module("flwr.supercore.constant")
    assert set(constant.TASK_TYPE_TO_COMMAND.values()) == set(TASK_COMMANDS)


def test_one_command_is_ours_and_the_others_refuse(launcher: TaskLauncher) -> None:
    launcher.write()
    assert {path.name for path in launcher.folder.iterdir()} == {*TASK_COMMANDS}
    for name in TASK_COMMANDS:
        assert stat.S_IMODE((launcher.folder / name).stat().st_mode) & 0o111
    environment = {**os.environ, **launcher.environment()}
    for name in {*TASK_COMMANDS} - {COMMAND}:
        refused = subprocess.run(
            [launcher.folder / name, "--token", "t"], capture_output=True, env=environment, check=False
        )
        assert (refused.returncode, refused.stderr) == (1, b"this hospital runs no such task\n")
    ours = subprocess.run(
        [launcher.folder / COMMAND], input=b"[1]", capture_output=True, env=environment, check=True
    )
    assert ours.stdout.split() == [b"[", b"1", b"]"]


def test_the_superexec_searches_no_path_but_its_own(launcher: TaskLauncher) -> None:
    environment = launcher.environment()
    assert environment == {"PATH": str(launcher.folder), "PYTHONPATH": "", "PYTHONSAFEPATH": "1"}


def test_a_folder_from_which_nothing_can_be_executed_is_refused_and_nothing_written(
    launcher: TaskLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with pytest.raises(MachineError) as raised:
        launcher.write()
    assert raised.value.where == str(launcher.folder)
    assert list(launcher.folder.iterdir()) == []


def test_a_superexec_trusts_one_certificate_and_keeps_its_secret_in_a_file(tmp_path: Path) -> None:
    command = superexec_command(9094, tmp_path / "ca.crt", tmp_path / "secret")
    assert command[0] == sys.executable
    options = dict(zip(command[-6::2], command[-5::2], strict=True))
    assert options == {
        "--runtime-api-address": "127.0.0.1:9094",
        "--root-certificates": str(tmp_path / "ca.crt"),
        "--superexec-auth-secret-file": str(tmp_path / "secret"),
    }


def test_flower_keeps_to_its_folder_and_tells_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "all_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "http://me:word@proxy")
    environment = flower_environment(tmp_path)
    assert environment["FLWR_HOME"] == str(tmp_path)
    assert (environment["FLWR_TELEMETRY_ENABLED"], environment["FLWR_DISABLE_UPDATE_CHECK"]) == ("0", "1")
    assert {environment[name] for name in ("HTTPS_PROXY", "all_proxy", "NO_PROXY")} == {""}
    assert "word" not in str(environment)


def test_services_that_run_are_not_started_again(tmp_path: Path) -> None:
    state, mine = tmp_path / "services.json", os.getpid()
    require_stopped(state, tmp_path, "this site", "consilium site stop")
    running = State(pid=mine, birth=birth_of(mine) or "", services={})
    write_whole(state, running.model_dump_json().encode())
    with pytest.raises(StateError) as raised:
        require_stopped(state, tmp_path, "this site", "consilium site stop")
    assert str(mine) in raised.value.what
    assert "`consilium site stop`" in raised.value.remedy


def test_services_stop_on_either_signal() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            stopping = stop_signals()
            assert not stopping.is_set()
            signal.raise_signal(number)
            assert stopping.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
