"""Choice of the display that follows a simulation: a terminal, a notebook, or none."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol, Self

from server.records.journal import RoundRecord
from simulations.report.screen.live import LiveDisplay
from simulations.report.screen.notebook import NotebookProgress, in_notebook


class Audience(Protocol):
    """Audience of an experiment: the live display, or nobody."""

    def stage(self, text: str) -> None:
        """Show the current step."""

    def round(self, fold: int, record: RoundRecord) -> None:
        """Show that a round of a federated arm, private or not, is over."""


Display = Callable[[int], AbstractContextManager[Audience]]
"""Takes the planned rounds per fold, and gives a display that lasts as long as a `with` block."""


class Silence:
    """Display that shows nothing."""

    def __init__(self, rounds: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def stage(self, text: str) -> None:
        """Say nothing of what happens now."""

    def round(self, fold: int, record: RoundRecord) -> None:
        """Say nothing of a finished round."""


def display_for(progress: bool | Literal["auto"]) -> Display:
    """The display for a choice of progress; "auto" shows one in a notebook or a terminal alone."""
    if progress is False:
        return Silence
    if in_notebook():
        return NotebookProgress
    return LiveDisplay if progress is True or sys.stdout.isatty() else Silence
