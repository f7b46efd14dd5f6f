"""Process that answers one message at a hospital, timed; prints JSON.

Flower's own network calls are left out, and so is reading the request from the benchmark's file.
"""

import builtins
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

INDEX, BUNDLE = "index.json", "bundle.fab"
"""Files of a request's folder, beside a file per object of the message."""


START, IMPORTS, OTHER = "start", "imports", "other"


UNTIMED, UNTIMED_CPU = "untimed", "untimed CPU"


ASIDE = "aside"
"""Line on stderr before and after the part that is not timed."""


PARTS = {
    "agreement": (
        "client.runtime.launcher.load_agreement",
        "client.rounds.assembly.load_agreement",
        "client.rounds.assembly.checked_model",
    ),
    "tables": ("client.rounds.assembly.read_or_restore",),
    "training": (
        "client.rounds.train.train",
        "client.rounds.train.train_privately",
        "client.rounds.train.validation_metrics",
    ),
    "gate, receipt": ("client.runtime.launcher.Launcher.release",),
}
"""Part -> its functions, less the imports and other parts within; `tables` has the graphs, if they are cached."""


class Stopwatch:
    """Wall-clock seconds by part; a part within another part counts for itself alone."""

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
            if self._parts[-1] in (name, UNTIMED):
                return function(*arguments, **options)
            with self.part(name):
                return function(*arguments, **options)

        return timed


def _watch(clock: Stopwatch, module: str) -> None:
    """Time the functions of a module that make up a part."""
    for part, functions in PARTS.items():
        for path in functions:
            if not path.startswith(f"{module}."):
                continue
            owner: Any = importlib.import_module(module)
            *classes, function = path.removeprefix(f"{module}.").split(".")
            for name in classes:
                owner = getattr(owner, name)
            setattr(owner, function, clock.watched(part, getattr(owner, function)))


def main(site: Path, request: Path, begun: float) -> dict[str, float]:
    """Answer one request and return the seconds by part.

    The process was started at `begun` of the monotonic clock.
    """
    clock = Stopwatch()
    clock.seconds[START] = time.monotonic() - begun
    builtins.__import__ = clock.watched(IMPORTS, builtins.__import__)
    importlib.import_module = clock.watched(IMPORTS, importlib.import_module)

    import client.flower.internals as flower
    from client.runtime.launcher import Launcher

    importlib.import_module(flower.RUNTIME)
    before = time.process_time()
    print(ASIDE, file=sys.stderr, flush=True)
    with clock.part(UNTIMED):
        from flwr.app import Context, RecordDict

        from simulations.engines.flower_internals import acting_as, inflate

        index = json.loads((request / INDEX).read_text())
        objects = {name: (request / name).read_bytes() for name in index["objects"]}
        message = inflate((index["message"], index["root"], objects))
        bundle = (request / BUNDLE).read_bytes()
        task = flower.AppTask(message, bundle, index["bundle"], index["version"])
        context = Context(message.metadata.run_id, message.metadata.dst_node_id, {}, RecordDict(), {})
    print(ASIDE, file=sys.stderr, flush=True)
    clock.seconds[UNTIMED_CPU] = time.process_time() - before
    _watch(clock, "client.runtime.launcher")
    launcher = Launcher(site)
    with acting_as(context.run_id, context.node_id, 1):
        launcher.admit(task)
        import client.rounds.assembly
        import client.rounds.train  # noqa: F401

        _watch(clock, "client.rounds.train")
        _watch(clock, "client.rounds.assembly")
        left = launcher.release(launcher.answer(message, context))
    if left.has_error() or left.content.config_records["header"]["message"] != "TrainReply":
        raise SystemExit("the hospital did not train")
    clock.stop()
    return dict(clock.seconds)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
    from client.flower.process_exit import end_after  # as the launcher ends

    end_after(lambda: None, "message", returned=0)
