"""Sink of a run's figures: the seam that MLflow and TensorBoard fill."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class TrackedRun:
    """Run as a sink knows it.

    Attributes:
        name: of the run.
        federation: its name in the federation file.
        parameters: settings of the federation file, by dotted name.
        tags: digest, version and the like, by name.
        began: seconds since 1970.
    """

    name: str
    federation: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    began: float


@dataclass(frozen=True)
class TrackedPoint:
    """Figures of a run at a round.

    Attributes:
        round: number of the round of training whose weights the figures are about.
        at: seconds since 1970.
        figures: by name; all are finite.
    """

    round: int
    at: float
    figures: Mapping[str, float]


class Sink(ABC):
    """Sink for the figures of runs.

    Whatever a method raises is a failure of the sink, and ends no run.
    """

    name: ClassVar[str]

    @abstractmethod
    def begin(self, run: TrackedRun, reference: str | None) -> str:
        """Begin a run, or go on with the one that `reference` names; return the sink's name of it."""

    @abstractmethod
    def log(self, reference: str, points: Sequence[TrackedPoint]) -> None:
        """Keep figures of a run, whole when this returns."""

    @abstractmethod
    def keep(self, reference: str, file: Path) -> None:
        """Keep a file with a run, if the sink keeps files."""

    @abstractmethod
    def end(self, reference: str, state: str) -> None:
        """Note how a run ended."""
