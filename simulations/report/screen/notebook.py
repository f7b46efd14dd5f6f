"""Progress of a simulation in a notebook: one output that is updated, without widgets."""

import html
import sys
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from simulations.report.screen.live import losses_line

if TYPE_CHECKING:
    from server.records.journal import RoundRecord


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class NotebookProgress:
    """Progress in the output of a notebook's cell.

    Args:
        rounds: planned rounds per fold.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._stage, self._line, self._done = "starting", "", 0
        self._ipython: Any = None
        self._handle: Any = None

    def __enter__(self) -> Self:
        self._ipython = import_module("IPython.display")
        self._handle = self._ipython.display(self._ipython.HTML(self._shown()), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stage = "finished" if error is None else "ended early"
        self._update()

    def stage(self, text: str) -> None:
        """Say what happens now."""
        self._stage, self._line, self._done = text, "", 0
        self._update()

    def round(self, fold: int, record: "RoundRecord") -> None:
        """Show a finished round of a fold (counted from 1)."""
        self._line, self._done = losses_line(fold, record, self._rounds), min(record.round, self._rounds)
        self._update()

    def _update(self) -> None:
        self._handle.update(self._ipython.HTML(self._shown()))

    def _shown(self) -> str:
        bar = f'<progress value="{self._done}" max="{self._rounds}"></progress> ' if self._line else ""
        return f"<div>{html.escape(self._stage)}<br>{bar}{html.escape(self._line)}</div>"
