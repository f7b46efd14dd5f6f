"""Figures of runs as event files of TensorBoard, in a folder for each run."""

from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from server.tracking.sink import Sink, TrackedPoint, TrackedRun


class TensorboardSink(Sink):
    """Event files in the folder of a federation and a run; files and tags have no room in them.

    Args:
        folder: of all event files.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, run: TrackedRun, reference: str | None) -> str:
        """Name the folder of a run; a run that goes on adds a file to it."""
        return reference or str(Path(run.federation) / run.name)

    def log(self, reference: str, points: Sequence[TrackedPoint]) -> None:
        """Write figures as scalars, with the round as step."""
        writer = EventFileWriter(str(self._folder / reference))
        try:
            for point in points:
                values = [
                    Summary.Value(tag=name, simple_value=value) for name, value in point.figures.items()
                ]
                writer.add_event(Event(wall_time=point.at, step=point.round, summary=Summary(value=values)))
        finally:
            writer.close()

    def keep(self, reference: str, file: Path) -> None:
        """Keep nothing: event files hold figures."""

    def end(self, reference: str, state: str) -> None:
        """Note nothing: event files hold figures."""
