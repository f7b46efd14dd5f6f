"""Commands of `consilium` as a person types them in a folder, each in a process of its own."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import NoReturn

from server.services.processes import script

GRACE_S = 45.0
"""Seconds between SIGTERM and SIGKILL: a supervisor waits ten for its services."""


POLL_S = 0.2


_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class CommandFailed(Exception):
    """A command that failed, or ended before it should.

    Attributes:
        command: as it was typed.
        sentence: its own last words, or how it ended.
        code: its exit code, or 1 for a signal.
    """

    def __init__(self, command: str, sentence: str, code: int) -> None:
        self.command, self.sentence, self.code = command, sentence, code if code > 0 else 1
        super().__init__(f"`{command}`: {sentence}")


@dataclass(frozen=True)
class Running:
    """A command that runs in a terminal of its own.

    Attributes:
        command: as it was typed.
        log: file of its output.
    """

    command: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def require(self) -> None:
        """Make sure that it still runs.

        Raises:
            CommandFailed: if it has ended.
        """
        if (code := self.process.poll()) is not None:
            raise CommandFailed(self.command, last_words(self.output(), code), code)

    def output(self) -> str:
        """Text that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fail(self, what: str) -> NoReturn:
        """Say that the command does not do its work.

        Raises:
            CommandFailed: always.
        """
        raise CommandFailed(self.command, what, 1)


@dataclass(frozen=True)
class Terminal:
    """Folder and environment in which commands are run.

    Attributes:
        folder: current folder of the commands, which name files relative to it.
        environment: variables beside those of this process.
        show: takes every command line before it is run.
    """

    folder: Path
    environment: Mapping[str, str]
    show: Callable[[str], None]

    def run(self, *arguments: object) -> str:
        """Run a command to its end, and return its output.

        Raises:
            CommandFailed: if its exit code is not 0.
        """
        return self.run_together([arguments])[0]

    def run_together(self, commands: Sequence[Sequence[object]]) -> list[str]:
        """Run commands side by side, and return their outputs in order.

        Raises:
            CommandFailed: of the first whose exit code is not 0; the others have ended then.
        """
        started: list[tuple[str, subprocess.Popen[bytes]]] = []
        try:
            for arguments in commands:
                line = self.shown(*arguments)
                started.append((line, self._start(arguments, subprocess.PIPE)))
            outputs = [process.communicate()[0].decode(errors="replace") for _, process in started]
        except BaseException:
            end_all([process for _, process in started])
            for _, process in started:
                process.communicate()
            raise
        for (line, process), output in zip(started, outputs, strict=True):
            if process.returncode:
                raise CommandFailed(line, last_words(output, process.returncode), process.returncode)
        return outputs

    def follow(self, take: Callable[[str], None], watched: Sequence[Running], *arguments: object) -> int:
        """Run a command, and hand on its lines as they come; return its exit code.

        Args:
            take: takes a line of its output.
            watched: commands without which it has no use.
            arguments: of the command.

        Raises:
            CommandFailed: if a watched command has ended; this one has ended then, too.
        """
        self.shown(*arguments)
        process = self._start(arguments, subprocess.PIPE)
        reader = Thread(target=_hand_on, args=(process, take), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                for running in watched:
                    running.require()
                time.sleep(POLL_S)
        finally:
            end_all([process])
            reader.join(GRACE_S)
            assert process.stdout is not None
            process.stdout.close()
        return process.returncode

    def start(self, log: Path, *arguments: object) -> Running:
        """Start a command whose output goes to a file, and which runs until somebody ends it."""
        line = self.shown(*arguments)
        with log.open("wb") as output:
            return Running(line, self._start(arguments, output.fileno()), log)

    def shown(self, *arguments: object) -> str:
        """Show a command line, and return it."""
        line = shlex.join(["consilium", *map(str, arguments)])
        self.show(line)
        return line

    def _start(self, arguments: Sequence[object], output: int) -> "subprocess.Popen[bytes]":
        """Start a command that leads a group, and ends when this process ends in any way."""
        parent = os.getpid()
        return subprocess.Popen(
            [script("consilium"), *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _end_with(parent),
        )


def end_all(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End processes by SIGTERM, all at once, and what is left of their groups by SIGKILL."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + GRACE_S
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(output: str, code: int) -> str:
    """Return the sentence by which a command failed, or how it ended where it has none."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    sentences = [line.removeprefix("consilium: ") for line in lines if line.startswith("consilium: ")]
    if sentences:
        return sentences[-1].rstrip(".")
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return lines[-1].rstrip(".") if lines and code else f"ended with exit code {code}"


def _hand_on(process: "subprocess.Popen[bytes]", take: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        take(line.decode(errors="replace").rstrip("\n"))


def _end_with(parent: int) -> None:
    """Have the system send this new process SIGTERM when its parent has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
