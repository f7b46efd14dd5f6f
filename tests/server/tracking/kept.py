"""A sink that keeps figures in memory and can be made to fail."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from server.tracking.sink import Sink, TrackedPoint, TrackedRun


class KeptFigures(Sink):
    """Sink in memory: what was done, in order."""

    name: ClassVar[str] = "Kept"

    def __init__(self) -> None:
        self.runs: list[TrackedRun] = []
        self.begun: list[str | None] = []
        self.points: list[TrackedPoint] = []
        self.files: list[str] = []
        self.ends: list[str] = []
        self.failure: Exception | None = None

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def begin(self, run: TrackedRun, reference: str | None) -> str:
        self._fail()
        self.runs.append(run)
        self.begun.append(reference)
        return reference or f"kept {run.name}"

    def log(self, reference: str, points: Sequence[TrackedPoint]) -> None:
        self._fail()
        self.points += points

    def keep(self, reference: str, file: Path) -> None:
        self._fail()
        self.files.append(file.name)

    def end(self, reference: str, state: str) -> None:
        self._fail()
        self.ends.append(state)
