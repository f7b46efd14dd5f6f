"""Process that runs one federation on one engine; prints a line of JSON per exchange.

The benchmarks `rounds` and `scale` start it. A line is the kind of exchange, its round, its seconds, the number of
replies, the processor seconds of the ServerApp itself (outside of Flower's Grid), and the seconds since the end of the
exchange before.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from common.agreement.federation import FILE_NAME
from server.app import server_app
from server.records.journal import RoundRecord
from simulations.benchmarks.rounds.timed_app import NOTES
from simulations.cohorts.folders import find_sites, twin
from simulations.engines.allocator import keep_freed_memory
from simulations.engines.in_process import run_in_process
from simulations.engines.pass_through_grid import PassThroughGrid

T = TypeVar("T")


TIMED = "simulations.benchmarks.rounds.timed_app:app"


class _TimedGrid(PassThroughGrid):
    """Grid that adds up the processor seconds of this thread within the other grid."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self.inside = 0.0

    def _timed(self, call: Callable[..., Iterable[T]], *arguments: Any) -> list[T]:
        began = time.thread_time()
        try:
            return list(call(*arguments))
        finally:
            self.inside += time.thread_time() - began

    def get_node_ids(self) -> Iterable[int]:
        """Ids of all nodes."""
        return self._timed(super().get_node_ids)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Take messages to be answered, and return their ids."""
        return self._timed(super().push_messages, messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to messages that were pushed."""
        return self._timed(super().pull_messages, message_ids)


def main(cohort: Path, engine: Any, out: Path) -> None:
    """Train all hospitals of a cohort folder together; results and notes are written to `out`."""
    (out / NOTES).mkdir(parents=True)
    sites = [twin(site, out / "sites" / site.name) for site in find_sites(cohort)]  # which have run nothing
    nodes = [{"site": str(site), "federation": str(cohort / FILE_NAME)} for site in sites]
    grids: list[_TimedGrid] = []
    before = time.thread_time(), 0.0, time.perf_counter()

    def report(record: RoundRecord) -> None:
        nonlocal before
        now = time.thread_time(), grids[0].inside, time.perf_counter()
        server_s, whole_s = (now[0] - before[0]) - (now[1] - before[1]), now[2] - before[2]
        before = now
        line = [record.kind, record.round, record.seconds, len(record.sites), server_s, whole_s]
        print(json.dumps(line), flush=True)

    ours, timed = server_app(report), ServerApp()

    @timed.main()
    def coordinate(grid: Grid, context: Context) -> None:
        nonlocal before
        grids.append(_TimedGrid(grid))
        before = time.thread_time(), 0.0, time.perf_counter()
        ours(grid=grids[0], context=context)

    run_config: dict[str, bool | float | int | str] = {
        "federation": str(cohort / FILE_NAME),
        "out": str(out),
        "fold": 0,
        "seed": 0,
        NOTES: str(out / NOTES),
    }
    run_in_process(timed, TIMED, nodes, run_config, engine)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)  # like the next line, as `consilium simulate` does
    keep_freed_memory()
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
