"""Figures with captions that a kind of record adds to the report of its results."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from common.pages.figure import Chart
from simulations.report.plots.style import Plot
from simulations.results.validation import SimulatedValidation


@dataclass(frozen=True)
class Drawing:
    """Charts and the sentences under them."""

    charts: tuple[Chart, ...]
    caption: str


class Evidence(Protocol):
    """Curves of the federated model on held-out units, whose data stay in memory."""

    def drawings(self, question: str, /) -> Iterable[Drawing]:
        """Draw the curves of a question for the report; none where there is nothing to show."""
        ...

    def plots(self, question: str, /) -> Mapping[str, Callable[[], Plot | None]]:
        """Name -> a curve of a question as a single figure."""
        ...

    def validation(self, question: str, /) -> SimulatedValidation | None:
        """Judge the probabilities of a question; None where there are none."""
        ...


class NoEvidence:
    """Evidence without curves, for a kind of record that draws none."""

    def drawings(self, question: str, /) -> Iterable[Drawing]:
        """Draw nothing."""
        return ()

    def plots(self, question: str, /) -> Mapping[str, Callable[[], Plot | None]]:
        """No curve."""
        return {}

    def validation(self, question: str, /) -> SimulatedValidation | None:
        """No probability."""
        return None
