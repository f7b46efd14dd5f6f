"""A port counts as the site's own only if a process below its supervisor listens on it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.doctor.finding import FindingCode
from client.doctor.port import port
from client.runtime.local_port import LOOPBACK
from client.runtime.services import state_file
from client.site_folder.places import Connection, Home
from common.files import write_whole
from common.processes.supervision_state import State, birth_of


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as own:
        own.bind((LOOPBACK, 0))
        own.listen()
        yield own


def number(of: socket.socket) -> int:
    return int(of.getsockname()[1])


def home_at(folder: Path, port: int) -> Home:
    home = Home(folder)
    connection = Connection(coordinator="fl.example.org:9443", port=port)
    write_whole(home.connection, connection.model_dump_json().encode())
    return home


def supervised_by(home: Home, pid: int) -> None:
    state = State(pid=pid, birth=birth_of(pid) or "")
    write_whole(state_file(home), state.model_dump_json().encode())


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[str]]:
    """A process that waits, and ends when it is told to."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate("\n")


def test_a_port_that_nobody_uses_is_free(tmp_path: Path, listening: socket.socket) -> None:
    home = home_at(tmp_path, number(listening))
    listening.close()
    (found,) = port(home)
    assert (found.level, found.code) == ("ok", FindingCode.OK)


def test_a_port_that_another_uses(tmp_path: Path, listening: socket.socket) -> None:
    (found,) = port(home_at(tmp_path, number(listening)))
    assert (found.level, found.code) == ("fail", FindingCode.PORT_TAKEN)
    assert str(tmp_path) in found.remedy


def test_the_running_sites_own_port(tmp_path: Path, listening: socket.socket) -> None:
    home = home_at(tmp_path, number(listening))
    supervised_by(home, os.getpid())
    (found,) = port(home)
    assert (found.level, found.code) == ("ok", FindingCode.OK)


def test_a_port_that_a_process_of_the_site_uses(tmp_path: Path) -> None:
    program = (
        "import socket; own = socket.socket(); own.bind(('127.0.0.1', 0)); own.listen();"
        "print(own.getsockname()[1], flush=True); input()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        home = home_at(tmp_path, int(node.stdout.readline()))
        supervised_by(home, os.getpid())
        (found,) = port(home)
        node.communicate("\n")
    assert found.level == "ok"


def test_a_running_site_whose_port_another_took(
    tmp_path: Path, listening: socket.socket, bystander: "subprocess.Popen[str]"
) -> None:
    home = home_at(tmp_path, number(listening))
    supervised_by(home, bystander.pid)  # nothing below it listens
    (found,) = port(home)
    assert found.level == "fail"


def test_a_running_site_that_does_not_listen_yet(tmp_path: Path, listening: socket.socket) -> None:
    home = home_at(tmp_path, number(listening))
    listening.close()
    supervised_by(home, os.getpid())
    (found,) = port(home)
    assert (found.level, str(home.logs) in found.remedy) == ("warn", True)
