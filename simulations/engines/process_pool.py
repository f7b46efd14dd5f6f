"""Pool of worker processes that run the sites.

A site always runs in the same worker, so that its caches stay warm. A worker that dies costs the message it was
working on, which gets Flower's code for a crash; its sites lose their `Context.state`, as after a restart of a real
node, and go on in a fresh process.
"""

import multiprocessing
import os
import signal
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.util import get_temp_dir
from threading import Thread
from types import TracebackType
from typing import Any, Self

from flwr.app import Context, Message

from simulations.engines.allocator import keep_freed_memory
from simulations.engines.environment import environment_set
from simulations.engines.flower_internals import (
    Failure,
    Parcel,
    deflate,
    error_reply,
    inflate,
    load_client_app,
    silence,
)
from simulations.engines.node import answer

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process that runs sites beside other processes."""


_GOODBYE_S = 5.0


_LONGEST_FOLDER = 70
"""Characters of a folder in which multiprocessing can name its sockets: a name has 103 on macOS and 107 on Linux."""


_USED_LATER = ("client.data.tables", "pyarrow.parquet")
"""Modules that a site imports with its first message; they are imported once for all workers."""


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessPool:
    """Delivery of messages to sites in `workers` processes; a context manager that ends them.

    Raises:
        RuntimeError: if a worker ends before it could load the ClientApp.
    """

    def __init__(self, client_app: str, sites: dict[int, Context], workers: int) -> None:
        shares: list[dict[int, Context]] = [{} for _ in range(workers)]
        for index, (node_id, context) in enumerate(sites.items()):
            shares[index % workers][node_id] = context
        self._workers = [_Worker(client_app, share) for share in shares]
        self._worker_of = {node_id: worker for worker in self._workers for node_id in worker.sites}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close() if error is None else worker.kill()
        for worker in self._workers:
            worker.end()

    def __call__(self, messages: Sequence[Message]) -> Iterator[Message]:
        """Yield replies in the order of arrival.

        A worker gets its next message before the reply to its last is handed on.
        """
        queues: dict[_Worker, deque[Message]] = {worker: deque() for worker in self._workers}
        for message in messages:
            queues[self._worker_of[message.metadata.dst_node_id]].append(message)
        at_work: dict[Any, _Worker] = {}
        for worker, queue in queues.items():
            if queue:
                at_work[worker.send(queue[0])] = worker
        while at_work:
            for connection in wait(list(at_work)):
                worker = at_work.pop(connection)
                message = queues[worker].popleft()
                reply = worker.receive() or error_reply(message, Failure.CRASHED)
                if queues[worker]:
                    at_work[worker.send(queues[worker][0])] = worker
                yield reply


class _Worker:
    """Worker process, replaced if it dies, with the same sites for the whole run."""

    def __init__(self, client_app: str, sites: dict[int, Context]) -> None:
        self.sites = sites
        self._client_app = client_app
        self._process, self._connection = _start(client_app, sites)
        self._ready = False

    def send(self, message: Message) -> "Connection[Any, Any]":
        """Send a message to the process, or to a fresh one, and return the reply's connection."""
        if not self._process.is_alive():
            self.end()
            self._process, self._connection = _start(self._client_app, self.sites)
            self._ready = False
        if not self._ready:
            try:
                self._connection.recv()
            except (EOFError, OSError):
                raise RuntimeError(
                    f"a worker process ended before it could load {self._client_app}; "
                    "the serial engine shows the reason"
                ) from None
            self._ready = True
        with suppress(OSError):  # a process that dies now is noticed where its reply is awaited
            self._connection.send(deflate(message))
        return self._connection

    def receive(self) -> Message | None:
        """Return the reply, or None if the process died over it."""
        try:
            return inflate(self._connection.recv())
        except (EOFError, OSError):
            self.end()
            return None

    def close(self) -> None:
        """Let the process leave its loop."""
        self._connection.close()

    def kill(self) -> None:
        """End the process, even during a message."""
        self._process.kill()

    def end(self) -> None:
        """Wait for the end of the process, or kill it."""
        self.close()
        self._process.join(_GOODBYE_S)
        if self._process.is_alive():
            self.kill()
            self._process.join()


def _start(client_app: str, sites: dict[int, Context]) -> tuple[ForkServerProcess, "Connection[Any, Any]"]:
    """Start a process that answers for the sites, and return it with this end of its pipe."""
    # Workers are forks of one process that has imported the app and done nothing else: they share what it read.
    shorten_sockets()
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["consilium", client_app.partition(":")[0], *_USED_LATER])
    ours, theirs = forks.Pipe()
    # thread counts are read when libraries load
    with environment_set(ONE_THREAD), uninterrupted():
        given = (theirs, client_app, sites, dict(os.environ))
        process = forks.Process(target=_work, args=given, name="consilium-site", daemon=True)
        process.start()
    theirs.close()
    return process, ours


def _work(
    connection: "Connection[Parcel | None, Parcel]",
    client_app: str,
    sites: dict[int, Context],
    variables: dict[str, str],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    os.environ.clear()  # that of the process it was forked from may be of an earlier run
    os.environ.update(variables)
    keep_freed_memory()
    silence()
    app = load_client_app(client_app)
    with suppress(EOFError, BrokenPipeError):  # the run has ended, perhaps without asking for an answer
        connection.send(None)
        while True:
            message = inflate(connection.recv())
            connection.send(deflate(answer(app, message, sites[message.metadata.dst_node_id])))


def shorten_sockets() -> None:
    """Keep multiprocessing's sockets in /tmp where TMPDIR is too long for their names."""
    if len(tempfile.gettempdir()) <= _LONGEST_FOLDER or not os.access("/tmp", os.W_OK):
        return
    asked = tempfile.tempdir
    tempfile.tempdir = "/tmp"
    try:
        get_temp_dir()  # which it makes once, and removes at its end
    finally:
        tempfile.tempdir = asked


def end_with_parent() -> None:
    """Have this worker process end at once when the process that started it is killed.

    It would go on otherwise, with its patients in memory, and a worker of an executor for ever.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        Thread(target=_exit_after, args=(parent.sentinel,), name="end-with-parent", daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let child processes ignore Ctrl-C, because this process ends them."""
    # Python starts its resource tracker with the first child and unblocks the signal then, before that child begins.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
