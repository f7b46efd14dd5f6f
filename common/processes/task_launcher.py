"""SuperExec that can start one kind of task, by our launcher, and no other kind.

A SuperExec starts whatever kind of task it is handed, by the name of a command on its PATH. Its PATH is therefore one
folder, in which the command of the permitted kind is our launcher and that of every other kind refuses: some of the
commands of Flower would run code that travels with a run.
"""

import os
import shlex
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from common.errors import MachineError, StateError
from common.files import write_whole
from common.processes.program import PROGRAM
from common.processes.quiet import QUIET
from common.processes.supervision import end_leftovers
from common.processes.supervision_state import read_state

TASK_COMMANDS = (
    *("flwr-agentapp", "flwr-clientapp", "flwr-connector", "flwr-model"),
    *("flwr-serverapp", "flwr-simulation"),
)
"""Flower's commands that start tasks; a contract test compares the names with the installed Flower."""


LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class TaskLauncher:
    """The commands that a SuperExec finds.

    Attributes:
        command: Flower's name of the command that starts the permitted kind of task.
        program: our module that is run in its place, and its first arguments.
        folder: the folder of the commands.
        path: PATH of our module.
        owner: in the sentence of a refusal, such as `hospital`.
    """

    command: str
    program: tuple[str, ...]
    folder: Path
    path: str
    owner: str

    def write(self) -> None:
        """Write our launcher under the name of Flower's command, and refusals under the others.

        Raises:
            MachineError: if they could not be executed there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.statvfs(self.folder).f_flag & os.ST_NOEXEC:
            remedy = f"mount it with exec, or make the {self.owner}'s folder elsewhere"
            raise MachineError(str(self.folder), "is on a file system that is mounted noexec", remedy)
        launched = shlex.join([*PROGRAM, *self.program])
        scripts = dict.fromkeys(TASK_COMMANDS, f"echo 'this {self.owner} runs no such task' >&2\nexit 1")
        scripts[self.command] = f'export PATH={shlex.quote(self.path)}\nexec {launched} "$@"'
        for name, lines in scripts.items():
            write_whole(self.folder / name, f"#!/bin/sh\n{lines}\n".encode(), 0o755)

    def environment(self) -> dict[str, str]:
        """Environment of the SuperExec, with no command but these and no module of its folder."""
        return {"PATH": str(self.folder), "PYTHONPATH": "", "PYTHONSAFEPATH": "1"}


def superexec_command(port: int, certificate: Path, secret: Path) -> tuple[str, ...]:
    """Return the command of a SuperExec for the Flower process that listens on a local port.

    Args:
        port: of that process.
        certificate: vouches for it.
        secret: file of the secret by which the process knows its SuperExec.
    """
    return (
        *(*PROGRAM, "common.processes.superexec", "--runtime-api-address", f"{LOOPBACK}:{port}"),
        *("--root-certificates", str(certificate), "--superexec-auth-secret-file", str(secret)),
    )


def flower_environment(flower: Path) -> dict[str, str]:
    """Environment of Flower's processes, with a folder in place of the one in the user's home.

    It has no telemetry, and no proxy: they speak to processes of this machine. Proxies' passwords stay out of it too.
    """
    return {
        **dict.fromkeys((name for name in os.environ if name.lower().endswith("_proxy")), ""),
        **QUIET,
        "FLWR_HOME": str(flower),
        "PYTHONUNBUFFERED": "1",
    }


def require_stopped(state: Path, folder: Path, what: str, stop: str) -> None:
    """Make sure that services do not run; end those that a killed supervisor has left.

    Args:
        state: the supervisor's state file.
        folder: of the services, in the sentence.
        what: runs there, such as `this site`.
        stop: the command that ends them.

    Raises:
        StateError: if they run.
    """
    if (running := read_state(state)) is not None:
        raise StateError(str(folder), f"{what} runs already, as process {running.pid}", f"end it by `{stop}`")
    end_leftovers(state)  # they hold the ports


def stop_signals() -> threading.Event:
    """An event that SIGTERM, SIGINT and SIGHUP set, from now on.

    What `nohup` has the process ignore stays ignored.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
            signal.signal(number, lambda *_: stopping.set())
    return stopping
