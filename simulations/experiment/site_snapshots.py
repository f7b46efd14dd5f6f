"""Checkpoint of a simulated run with its hospitals' ledgers and residuals.

A real hospital keeps its ledger and residual across all that happens to a coordinator. A simulated one ends with
its run, so that its files are copied when the run's state is kept, and put back with it: a round that was cut off has
left no trace in a ledger: it is paid for once, and can be asked again.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from client.ledger.entries import Entry, read_on
from client.ledger.heads import head_of, head_paths, write_head
from client.ledger.ledger import LEDGER
from client.site_folder.places import Home
from common.files import write_whole
from server.runs.checkpoint import CheckpointFolder
from server.runs.state import RunState


class SimulationCheckpoint(CheckpointFolder):
    """A checkpoint in a folder, beside copies of the hospitals' ledgers and residuals.

    Args:
        folder: nothing else belongs into it.
        sites: the twins of site folders that the run trains in; a state that is read changes them.
    """

    def __init__(self, folder: Path, sites: Sequence[Path]) -> None:
        super().__init__(folder)
        self._sites = sites

    def write(self, state: RunState) -> str | None:
        """Keep a state, and the hospitals' files as they are now."""
        snapshot = self._snapshot(state.steps)
        shutil.rmtree(snapshot, ignore_errors=True)
        for site in self._sites:
            for file in _files(site):
                if (site / file).is_file():
                    write_whole(snapshot / site.name / file, (site / file).read_bytes(), 0o600)
        anchor = super().write(state)
        for other in self.folder.glob("sites-*"):
            if other != snapshot:
                shutil.rmtree(other)
        return anchor

    def read(self) -> RunState | None:
        """The state that was written last, the hospitals' files put back as they were then."""
        state = super().read()
        if state is not None:
            for site in self._sites:
                for file in _files(site):
                    self._put_back(site, file, self._snapshot(state.steps) / site.name / file)
                if (site / LEDGER).is_file():
                    _confirm(site)
        return state

    def _beside(self, steps: int) -> Iterable[Path]:
        """The copies of the hospitals' files; a file too many or too few is noticed too."""
        return (path for path in self._snapshot(steps).rglob("*") if path.is_file())

    def _snapshot(self, steps: int) -> Path:
        return self.folder / f"sites-{steps}"

    def _put_back(self, site: Path, file: Path, copy: Path) -> None:
        if copy.is_file():
            write_whole(site / file, copy.read_bytes(), 0o600)


def _confirm(site: Path) -> None:
    """Write the head copies of a ledger that was put back here, by nobody else."""
    entries: list[Entry] = []
    with closing(sqlite3.connect(site / LEDGER)) as database:
        read_on(database, entries)
    for path in head_paths(site):
        write_head(head_of(entries), path)


def _files(site: Path) -> tuple[Path, ...]:
    """Return the files, relative to the site folder, that a run changes and needs again."""
    return LEDGER, Home(site).residual.relative_to(site)
