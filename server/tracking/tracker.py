"""Tracker, which sends the journals of runs to sinks and holds up no run."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.agreement.agreement import FILE_NAME as FEDERATION
from common.agreement.loading import load_agreement
from common.files import write_whole
from server.commands.runs import summary_of
from server.home.places import CoordinatorHome
from server.home.tracking_settings import TrackingSettings, require_sinks
from server.records.history import RunHistory
from server.tracking.figures import closing_point, tracked_points, tracked_run
from server.tracking.sink import Sink

FILE_NAME, LOCK = "tracking.json", "tracking.lock"


FILES = (FEDERATION, "report.html")
"""Files of a run that a sink keeps; they name hospitals."""


AGAIN_S = 60.0
"""Seconds after a failure until a sink is tried again."""


class SinkState(BaseModel):
    """Part of a run that a sink has.

    Attributes:
        reference: the sink's name of the run; None before it began.
        logged: number of exchanges.
        ended: how the run ended, once the sink knows.
        kept: names of files.
    """

    model_config = ConfigDict(frozen=True)

    reference: str | None = None
    logged: int = 0
    ended: str | None = None
    kept: tuple[str, ...] = ()


class TrackingState(BaseModel):
    """Content of `tracking.json` in a run's folder: sink -> part that it has."""

    model_config = ConfigDict(frozen=True)

    sinks: dict[str, SinkState] = {}


def sinks_of(home: CoordinatorHome, settings: TrackingSettings) -> list[Sink]:
    """Make the sinks of a coordinator.

    Raises:
        MissingExtra: if a package is not installed.
    """
    require_sinks(settings)
    sinks: list[Sink] = []
    if settings.mlflow is not None:
        from server.tracking.mlflow_sink import MlflowSink

        sinks.append(MlflowSink(settings.mlflow, settings.experiment))
    if settings.tensorboard is not None:
        from server.tracking.tensorboard_sink import TensorboardSink

        sinks.append(TensorboardSink(home.folder / settings.tensorboard))
    return sinks


class Tracker:
    """Sender of figures to sinks; what a sink raises is said once, and tried again later.

    Args:
        home: the coordinator's folder.
        sinks: that figures are sent to.
        names_hospitals: whether hospitals are named, and files kept that name them.
        say: tells a person of a sink that fails, and of one that works again.
    """

    def __init__(
        self, home: CoordinatorHome, sinks: Sequence[Sink], names_hospitals: bool, say: Callable[[str], None]
    ) -> None:
        self._home, self._sinks, self._say = home, sinks, say
        self._names_hospitals = names_hospitals
        self._histories: dict[str, RunHistory] = {}
        self._failed: dict[str, float] = {}

    def send(self, out: Path) -> bool:
        """Send what the sinks lack of a run; return whether they now have all of it."""
        with _alone(out) as is_ours:
            if not is_ours:
                return False
            history = self._histories.setdefault(out.name, RunHistory(out))
            history.read()
            if history.last is None:
                return False
            summary = summary_of(self._home, out)
            ended = None if summary.goes_on else summary.state
            results = [self._send_to(sink, out, history, ended) for sink in self._sinks]
            if ended is not None and all(results):
                self._histories.pop(out.name, None)
            return all(results)

    def _send_to(self, sink: Sink, out: Path, history: RunHistory, ended: str | None) -> bool:
        if time.monotonic() < self._failed.get(sink.name, 0.0):
            return False
        state = read_tracking(out).sinks.get(sink.name, SinkState())
        try:
            for step in self._steps(sink, out, history, ended, state):
                write_tracking(out, sink.name, step)
        except Exception as error:  # whatever it is, it is the sink's trouble and not the run's
            if sink.name not in self._failed:
                self._say(
                    f"{sink.name} does not take figures ({type(error).__name__}); runs go on without it, and it is "
                    f"tried again every {AGAIN_S:g} s."
                )
            self._failed[sink.name] = time.monotonic() + AGAIN_S
            return False
        if self._failed.pop(sink.name, None) is not None:
            self._say(f"{sink.name} takes figures again.")
        return True

    def _steps(
        self, sink: Sink, out: Path, history: RunHistory, ended: str | None, state: SinkState
    ) -> Iterator[SinkState]:
        """Send part by part, and yield what the sink has after each."""
        logged = min(state.logged, len(history.rounds))
        files = [name for name in self._files() if name not in state.kept and (out / name).is_file()]
        if (
            state.reference is not None
            and logged == len(history.rounds)
            and state.ended == ended
            and not files
        ):
            return
        federation = load_agreement(out / FEDERATION)
        reference = state.reference
        if reference is None or state.ended is not None:
            reference = sink.begin(tracked_run(out.name, history.runs[0], federation), reference)
            state = state.model_copy(update={"reference": reference, "ended": None})
            yield state
        if points := tracked_points(history, logged, self._names_hospitals):
            sink.log(reference, points)
            state = state.model_copy(update={"logged": len(history.rounds)})
            yield state
        for name in files:
            sink.keep(reference, out / name)
            state = state.model_copy(update={"kept": (*state.kept, name)})
            yield state
        if ended is not None:
            if (closing := closing_point(history)) is not None:
                sink.log(reference, [closing])
            sink.end(reference, ended)
            yield state.model_copy(update={"ended": ended})

    def _files(self) -> tuple[str, ...]:
        return FILES if self._names_hospitals else ()


def read_tracking(out: Path) -> TrackingState:
    """Read what sinks have of a run; nothing where that is not known."""
    try:
        return TrackingState.model_validate_json((out / FILE_NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return TrackingState()


def write_tracking(out: Path, sink: str, state: SinkState) -> None:
    """Write what a sink has of a run."""
    states = TrackingState(sinks={**read_tracking(out).sinks, sink: state})
    write_whole(out / FILE_NAME, states.model_dump_json(indent=2).encode() + b"\n")


@contextmanager
def _alone(out: Path) -> Iterator[bool]:
    """Be the only tracker of a run; False where another one is at it."""
    descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
