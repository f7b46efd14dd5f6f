"""Processes that are measured beside one another: each with an environment of its own, taking turns step by step.

So a busy machine is busy for all of them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Step = Callable[[], float]
"""Takes a step and returns the seconds it took."""


@contextmanager
def process(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """A process that calls `target` with its end of a connection and the arguments, and ends with the context.

    The target sends what it likes, and then calls `serve`.
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
    """Take a step for every True that comes, and tell its seconds."""
    while pipe.recv():
        pipe.send(step())


def in_turns(running: Mapping[str, Connection], duration: float, least: int) -> dict[str, list[float]]:
    """Seconds of each process's steps, one at a time in turn, for about so many seconds and `least` steps of each."""
    taken: dict[str, list[float]] = {name: [] for name in running}
    end = time.monotonic() + duration
    while time.monotonic() < end or any(len(own) < least for own in taken.values()):
        for name, pipe in running.items():
            pipe.send(True)
            taken[name].append(float(pipe.recv()))
    return taken
