"""Processes measured side by side, taking steps in turn.

Because of the turns a busy machine is busy for all processes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Step = Callable[[], float]
"""Function that takes a step and returns its seconds."""


@contextmanager
def process(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Start a process that calls `target` with a connection and the arguments.

    The process ends with the context.

    The target may send messages first, and then calls `serve`.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    started = context.Process(target=target, args=(there, *arguments), daemon=True)
    started.start()
    there.close()
    try:
        yield here
        here.send(False)
    finally:
        here.close()
        started.join()


def serve(pipe: Connection, step: Step) -> None:
    """Take a step for every True that arrives, and send back its seconds."""
    while pipe.recv():
        pipe.send(step())


def in_turns(running: Mapping[str, Connection], duration: float, least: int) -> dict[str, list[float]]:
    """Time the steps of several processes, one step at a time in turn.

    It takes about `duration` seconds, and at least `least` steps of a process.
    """
    taken: dict[str, list[float]] = {name: [] for name in running}
    end = time.monotonic() + duration
    while time.monotonic() < end or any(len(times) < least for times in taken.values()):
        for name, pipe in running.items():
            pipe.send(True)
            taken[name].append(float(pipe.recv()))
    return taken
