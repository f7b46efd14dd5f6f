"""Service of the coordinator that tracks its runs, where a sink is named."""

import sys
import time
from pathlib import Path

from common.errors import InputError
from server.commands.runs import summary_of
from server.home.places import CoordinatorHome, open_home
from server.tracking.tracker import FILE_NAME, Tracker, sinks_of

LOOK_EVERY_S = 2.0


def main(folder: Path) -> None:
    """Track the runs that go on or begin, until the process is ended.

    Raises:
        InputError: if this is no coordinator's folder, or a package is not installed.
    """
    home = open_home(folder)
    settings = home.settings().tracking
    if settings is None:
        return
    tracker = Tracker(home, sinks_of(home, settings), settings.hospitals, _say)
    past = {out.name for out in _folders(home) if not (out / FILE_NAME).is_file() and _is_over(home, out)}
    stamps: dict[str, tuple[float, ...]] = {}
    damaged: set[str] = set()
    while True:
        for out in _folders(home):
            if out.name in past or (stamp := _stamp(out)) == stamps.get(out.name):
                continue
            try:
                if tracker.send(out):
                    stamps[out.name] = stamp
            except (InputError, OSError) as error:
                if out.name not in damaged:
                    _say(str(error))
                damaged.add(out.name)
        time.sleep(LOOK_EVERY_S)


def _folders(home: CoordinatorHome) -> list[Path]:
    return sorted(path for path in home.runs.iterdir() if path.is_dir())


def _is_over(home: CoordinatorHome, out: Path) -> bool:
    return not summary_of(home, out).goes_on


def _stamp(out: Path) -> tuple[float, ...]:
    """Times and sizes of what is sent of a run."""
    stamps: list[float] = []
    for name in ("journal.jsonl", "run.json", "report.html"):
        try:
            status = (out / name).stat()
        except FileNotFoundError:
            continue
        stamps += [status.st_mtime_ns, status.st_size]
    return tuple(stamps)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        raise SystemExit(2) from None
