"""Gate's process of one message at a hospital, timed; prints JSON.

Flower's own network calls are left out, and so is reading the request from the benchmark's file.
"""

import builtins
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

INDEX, BUNDLE = "index.json", "bundle.fab"
"""Files of a request's folder, beside a file per object of the message."""


START, IMPORTS, OTHER = "start", "imports", "other"


UNTIMED, UNTIMED_CPU = "untimed", "untimed CPU"


APP = "app"
"""Part in which the gate waits for the app; the app's own parts are within."""


PARTS = {
    "agreement": ("client.runtime.gatekeeper.load_agreement",),
    APP: ("client.runtime.app_link.ask_over",),
    "gate, receipt": ("client.runtime.gatekeeper.Gatekeeper.release",),
}
"""Part of the gate's process -> its functions, less the imports and other parts within."""


APP_PARTS = {
    "app's agreement": (
        "client.rounds.assembly.load_agreement",
        "client.rounds.assembly.checked_model",
    ),
    "app's tables": ("client.rounds.assembly.read_or_restore",),
    "app's training": (
        "client.rounds.train.train",
        "client.rounds.train.train_privately",
        "client.rounds.train.validation_metrics",
    ),
}
"""Part of the app's process -> its functions; `tables` has the graphs, if they are cached."""


APP_IMPORTS = "app's imports"


SECONDS = "seconds of the app:"
"""Beginning of the line on standard error with the app's parts."""


class Stopwatch:
    """Wall-clock seconds of the main thread by part, without those of parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._parts, self._since = [OTHER], time.monotonic()

    def stop(self) -> None:
        """Count the time until now."""
        self._count()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the context for a part."""
        self._count()
        self._parts.append(name)
        try:
            yield
        finally:
            self._count()
            self._parts.pop()

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time counts for a part."""

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._parts[-1] in (name, UNTIMED) or current_thread() is not main_thread():
                return function(*arguments, **options)
            with self.part(name):
                return function(*arguments, **options)

        return timed


def watch(clock: Stopwatch, parts: Mapping[str, Sequence[str]], module: str) -> None:
    """Time the functions of a module that make up parts."""
    for part, functions in parts.items():
        for path in functions:
            if not path.startswith(f"{module}."):
                continue
            owner: Any = importlib.import_module(module)
            *classes, function = path.removeprefix(f"{module}.").split(".")
            for name in classes:
                owner = getattr(owner, name)
            setattr(owner, function, clock.watched(part, getattr(owner, function)))


def watch_imports(clock: Stopwatch, part: str) -> None:
    """Time what is imported from now on."""
    builtins.__import__ = clock.watched(part, builtins.__import__)
    importlib.import_module = clock.watched(part, importlib.import_module)


def main(site: Path, request: Path, begun: float) -> dict[str, float]:
    """Answer one request and return the seconds by part.

    The process was started at `begun` of the monotonic clock.
    """
    clock = Stopwatch()
    clock.seconds[START] = time.monotonic() - begun
    from client.runtime.app_link import AppProcess

    app = AppProcess(site, ("simulations.benchmarks.rounds.message_app",))
    watch_imports(clock, IMPORTS)

    import client.flower.internals as flower
    from client.runtime.gatekeeper import Gatekeeper

    importlib.import_module(flower.RUNTIME)
    before = time.process_time()
    with clock.part(UNTIMED):
        from flwr.app import Context, RecordDict

        from simulations.engines.flower_internals import acting_as, inflate

        index = json.loads((request / INDEX).read_text())
        objects = {name: (request / name).read_bytes() for name in index["objects"]}
        message = inflate((index["message"], index["root"], objects))
        bundle = (request / BUNDLE).read_bytes()
        task = flower.AppTask(message, bundle, index["bundle"], index["version"])
        context = Context(message.metadata.run_id, message.metadata.dst_node_id, {}, RecordDict(), {})
    clock.seconds[UNTIMED_CPU] = time.process_time() - before
    for module in ("client.runtime.gatekeeper", "client.runtime.app_link"):
        watch(clock, PARTS, module)
    gatekeeper = Gatekeeper(site, app)
    with acting_as(context.run_id, context.node_id, 1):
        gatekeeper.admit(task)
        left = gatekeeper.release(gatekeeper.answer(message, context))
    app.close()
    if left.has_error() or left.content.config_records["header"]["message"] != "TrainReply":
        raise SystemExit("the hospital did not train")
    clock.stop()
    return dict(clock.seconds)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
    from client.flower.process_exit import end_after  # as the launcher ends

    end_after(lambda: None, "message", returned=0)
