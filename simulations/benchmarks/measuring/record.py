"""Figures of a benchmark with machine and date, as a JSON file and a Markdown table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from common.files import write_whole
from simulations.results.machine import Machine, Record
from simulations.results.machine import machine as this_machine


class Figures(Record):
    """Base of the figures of a benchmark, with the machine and the time of their measurement."""

    machine: Machine = Field(default_factory=this_machine)
    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @property
    def origin(self) -> str:
        """Machine, versions and date, for the foot of a table."""
        return origin(self.machine, self.date)

    def write(self, file: Path | None) -> None:
        """Write the figures as JSON, whole or not at all, if a file is named."""
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, self.model_dump_json(indent=2).encode() + b"\n")


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
