"""Flower's SuperExec, with tokens of tasks handed on where no other account can read them.

Flower's own puts them on the command line, which every account of a machine can read: whoever has one can answer in a
hospital's name, past its gate, or average in the coordinator's. Written against flwr 1.41; contract tests compare what
is replaced with the installed Flower.
"""

import importlib
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

EXECUTOR = "flwr.supercore.superexec.executor.subprocess_executor"


TOKEN, TOKEN_STDIN = "--token", "--token-stdin"


def main() -> None:
    """Be `flower-superexec`, with its command line; tokens of tasks travel on standard input."""
    executor: Any = importlib.import_module(EXECUTOR)
    executor.subprocess = SimpleNamespace(Popen=start_task, DEVNULL=subprocess.DEVNULL)
    importlib.import_module("flwr.supercore.cli").flower_superexec()


def start_task(command: Sequence[str], **options: Any) -> None:
    """Start a task's process as Flower does, with the token on standard input.

    Raises:
        ValueError: if the command has no token where this Flower puts it; nothing is started then.
    """
    position = list(command).index(TOKEN)
    token = command[position + 1]
    quiet = [*command[:position], TOKEN_STDIN, *command[position + 2 :]]
    started = subprocess.Popen(quiet, stdin=subprocess.PIPE, **options)
    assert started.stdin is not None
    with suppress(BrokenPipeError), started.stdin as pipe:  # it ended at once: its exit says why
        pipe.write(token.encode() + b"\n")


def with_token(arguments: Sequence[str]) -> list[str]:
    """Return a task's arguments for Flower's commands, with the token from standard input."""
    if TOKEN_STDIN not in arguments:
        return list(arguments)
    position = list(arguments).index(TOKEN_STDIN)
    return [*arguments[:position], TOKEN, sys.stdin.readline().strip(), *arguments[position + 1 :]]


if __name__ == "__main__":
    main()
