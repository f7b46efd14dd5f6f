"""Reader of a coordinator's folder for all browsers at once, with marks of change."""

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from common.agreement.agreement import FILE_NAME as FEDERATION
from common.agreement.agreement import Agreement
from common.agreement.loading import load_agreement
from common.errors import InputError
from server.commands.runs import RunSummary, summary_of
from server.commands.status import Status, status_of
from server.home.places import CoordinatorHome
from server.records.history import RunHistory
from server.records.journal import FILE_NAME as JOURNAL
from server.records.progress import FILE_NAME as PROGRESS
from server.records.progress import ExchangeProgress, read_progress

STATUS_EVERY_S = 3.0
"""Least seconds between two questions to the services, however many browsers ask."""


MOST_BYTES = 48 << 20
"""Bytes of a journal that are read for one page; the rest follows with the next ones."""


MOST_RUNS = 6
"""Runs whose journals are kept in memory."""


@dataclass(frozen=True)
class RunView:
    """A run as its folder has it now.

    Attributes:
        out: its folder.
        summary: as in the list of runs.
        history: course, as far as it was read.
        is_whole: whether the whole journal was read.
        progress: exchange that is under way; None for none.
        federation: its federation file; None where that cannot be read.
        trouble: sentence on what could not be read; None for nothing.
    """

    out: Path
    summary: RunSummary
    history: RunHistory
    is_whole: bool
    progress: ExchangeProgress | None
    federation: Agreement | None
    trouble: str | None


class FolderWatch:
    """Reader of a coordinator's folder, one at a time, for threads that answer browsers.

    Args:
        home: the coordinator's folder.
    """

    def __init__(self, home: CoordinatorHome) -> None:
        self.home = home
        self._lock = threading.RLock()
        self._histories: OrderedDict[str, RunHistory] = OrderedDict()
        self._unread: dict[str, bool] = {}
        self._summaries: dict[str, tuple[object, RunSummary]] = {}
        self._status: Status | None = None
        self._trouble: str | None = None
        self._asked = -STATUS_EVERY_S

    def status(self) -> tuple[Status | None, str | None]:
        """Status as `consilium coordinator status` has it, at most `STATUS_EVERY_S` old.

        Returns:
            The status, or None and the sentence that says why there is none.
        """
        with self._lock:
            if time.monotonic() - self._asked >= STATUS_EVERY_S:
                try:
                    self._status, self._trouble = status_of(self.home, self._history), None
                except InputError as error:
                    self._status, self._trouble = None, str(error)
                self._asked = time.monotonic()
            return self._status, self._trouble

    def runs(self) -> list[RunSummary]:
        """Runs, the latest first."""
        with self._lock:
            folders = [path for path in self.home.runs.iterdir() if path.is_dir()]
            summaries = [self._summary(out) for out in folders]
            return sorted(summaries, key=lambda run: (run.begun or "", run.id), reverse=True)

    def run(self, out: Path) -> RunView:
        """View of a run by its folder."""
        with self._lock:
            trouble, federation, history = None, None, RunHistory(out)
            try:
                history = self._history(out)
                federation = load_agreement(out / FEDERATION)
            except InputError as error:
                trouble = str(error)
            summary = self._summary(out)
            is_whole = not self._unread.get(out.name, False)
            return RunView(out, summary, history, is_whole, _progress(out, summary), federation, trouble)

    def mark(self, out: Path | None) -> str:
        """Text that changes when something changes that the pages of a run, or of all, show."""
        with self._lock:
            self._histories_read_on(out)
            status, trouble = self.status()
            parts: list[object] = [trouble, None if status is None else status.model_dump_json()]
            parts += [_stamp(path) for path in (self.home.enrolled, self.home.runs)]
            parts += [_stamp(path) for path in sorted(self.home.logs.glob("*.log"))]
            folders = (
                sorted(path for path in self.home.runs.iterdir() if path.is_dir()) if out is None else [out]
            )
            parts += [_run_stamp(folder) for folder in folders]
            parts += [history.position for history in self._histories.values()]
            return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def _histories_read_on(self, out: Path | None) -> None:
        for name in list(self._histories):
            if self._unread.get(name) and (out is None or out.name == name):
                try:
                    self._history(self.home.runs / name)
                except InputError:
                    self._unread[name] = False  # the page of the run says why

    def _history(self, out: Path) -> RunHistory:
        """Course of a run, read on by some millions of bytes."""
        history = self._histories.setdefault(out.name, RunHistory(out))
        self._histories.move_to_end(out.name)
        while len(self._histories) > MOST_RUNS:
            dropped, _ = self._histories.popitem(last=False)
            self._unread.pop(dropped, None)
        self._unread[out.name] = history.read(MOST_BYTES)
        return history

    def _summary(self, out: Path) -> RunSummary:
        stamp = _run_stamp(out)
        known_stamp, summary = self._summaries.get(out.name, (None, None))
        if summary is None or stamp != known_stamp or summary.goes_on:
            summary = summary_of(self.home, out)
            self._summaries[out.name] = stamp, summary
        return summary


def _progress(out: Path, summary: RunSummary) -> ExchangeProgress | None:
    return read_progress(out) if summary.goes_on else None


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _run_stamp(out: Path) -> tuple[object, ...]:
    return (out.name, _stamp(out), *(_stamp(out / name) for name in (JOURNAL, PROGRESS, "run.json")))
