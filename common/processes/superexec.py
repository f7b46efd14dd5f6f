"""Flower's SuperExec, with tokens of tasks handed on where no other account can read them.

Flower's own puts them on the command line, which every account of a machine can read: whoever has one can answer in a
hospital's name, past its gate, or average in the coordinator's. Written against flwr 1.41; contract tests compare what
is replaced with the installed Flower.
"""

import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.processes.process_log import log_beside_flower

EXECUTOR = "flwr.supercore.superexec.executor.subprocess_executor"


TOKEN, TOKEN_STDIN = "--token", "--token-stdin"


WORK_VARIABLE = "CONSILIUM_WORK"
"""Number of the descriptor into which a task's process writes its work, such as `train`, for the log of its end."""


LONGEST = 40
"""Characters of that text which are logged."""


log = logging.getLogger("consilium.superexec")


def main() -> None:
    """Be `flower-superexec`, with its command line; tokens of tasks travel on standard input."""
    log_beside_flower()
    executor: Any = importlib.import_module(EXECUTOR)
    executor.subprocess = SimpleNamespace(Popen=start_task, DEVNULL=subprocess.DEVNULL)
    importlib.import_module("flwr.supercore.cli").flower_superexec()


def start_task(command: Sequence[str], **options: Any) -> threading.Thread:
    """Start a task's process as Flower does, with the token on standard input.

    Its end is logged if it was killed or failed: nobody else would say so.

    Returns:
        The thread that waits for its end.

    Raises:
        ValueError: if the command has no token where this Flower puts it; nothing is started then.
    """
    position = list(command).index(TOKEN)
    token = command[position + 1]
    quiet = [*command[:position], TOKEN_STDIN, *command[position + 2 :]]
    work, theirs = os.pipe()
    variables = {**(options.pop("env", None) or os.environ), WORK_VARIABLE: str(theirs)}
    try:
        started = subprocess.Popen(quiet, stdin=subprocess.PIPE, env=variables, pass_fds=[theirs], **options)
    except BaseException:
        os.close(work)
        raise
    finally:
        os.close(theirs)
    watch = threading.Thread(target=_log_end, args=(Path(command[0]).name, started, work), daemon=True)
    watch.start()
    assert started.stdin is not None
    with suppress(BrokenPipeError), started.stdin as pipe:  # it ended at once: its exit says why
        pipe.write(token.encode() + b"\n")
    return watch


def tell_work(text: str) -> None:
    """Tell the SuperExec once what this task's process is about to do; elsewhere do nothing."""
    number = os.environ.pop(WORK_VARIABLE, "")
    if number.isdigit():
        with suppress(OSError), os.fdopen(int(number), "w", encoding="utf-8") as work:
            work.write(text[:LONGEST])


def _log_end(command: str, started: "subprocess.Popen[bytes]", work: int) -> None:
    code = started.wait()
    os.set_blocking(work, False)  # a process that outlives the task may hold the other end
    with suppress(BlockingIOError), os.fdopen(work, "rb") as pipe:
        if code:
            text = (pipe.read(4 * LONGEST) or b"").decode("utf-8", "replace")
            log.error("%s", end_text(command, started.pid, code, text))


def end_text(command: str, pid: int, code: int, work: str) -> str:
    """Describe the end of a task's process that was killed or failed.

    Args:
        command: name of the command that it was.
        pid: of the process.
        code: its exit code, negative for a signal.
        work: kind of the message that it was answering; empty if it told none.
    """
    is_signal = code < 0 and -code in {number.value for number in signal.Signals}
    how = f"was killed by {signal.Signals(-code).name}" if is_signal else f"ended with exit code {code}"
    lost = f"; the message of kind {work[:LONGEST]!a} that it was answering has no answer" if work else ""
    return f"{command}, process {pid}, {how}{lost}"


def with_token(arguments: Sequence[str]) -> list[str]:
    """Return a task's arguments for Flower's commands, with the token from standard input."""
    if TOKEN_STDIN not in arguments:
        return list(arguments)
    position = list(arguments).index(TOKEN_STDIN)
    return [*arguments[:position], TOKEN, sys.stdin.readline().strip(), *arguments[position + 1 :]]


if __name__ == "__main__":
    main()
