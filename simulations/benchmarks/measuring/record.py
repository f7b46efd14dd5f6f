"""Figures of a benchmark with machine and date, as a JSON file and a Markdown table."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from simulations.results.machine import Machine, MeasuredRecord


class Figures(MeasuredRecord):
    """Base of the figures of a benchmark."""

    @property
    def origin(self) -> str:
        """Machine, versions and date, for the foot of a table."""
        return origin(self.machine, self.date)

    def write(self, path: Path | None) -> None:
        """Write the figures, if a file is named."""
        if path is not None:
            super().write(path)


def origin(machine: Machine, date: datetime) -> str:
    """Machine, versions and date of figures, for the foot of a table."""
    versions = f"Python {machine.python}, torch {machine.torch}"
    return f"{machine.processor}, {machine.cores} cores, {versions}, {date:%Y-%m-%d}"


def markdown(alignment: str, rows: Iterable[Sequence[str]]) -> str:
    """Write rows as a Markdown table; `alignment` has `l` or `r` per column.

    The first row is the head.
    """
    head, *body = rows
    rule = ["---" if side == "l" else "---:" for side in alignment]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))
