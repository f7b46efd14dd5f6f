import os
from collections.abc import Iterator
from itertools import count
from multiprocessing.connection import Connection

from simulations.benchmarks.measuring.turns import in_turns, process, serve
from simulations.engines.environment import environment_set


def counting(pipe: Connection, first: float) -> None:
    numbers: Iterator[float] = count(first)
    pipe.send(os.environ["WHOSE"])
    serve(pipe, lambda: next(numbers))


def test_processes_take_turns_until_each_has_had_enough() -> None:
    with environment_set({"WHOSE": "one"}), process(counting, 0.0) as one:
        assert one.recv() == "one"
        with environment_set({"WHOSE": "two"}), process(counting, 100.0) as two:
            assert two.recv() == "two"
            taken = in_turns({"one": one, "two": two}, 0.0, 3)
    assert taken == {"one": [0.0, 1.0, 2.0], "two": [100.0, 101.0, 102.0]}
