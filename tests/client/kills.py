"""Real kills of a forked process: at any line, or before every line that finds other files than the one before."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import Any


def in_child(action: Callable[[], int]) -> int:
    """The exit status of a forked process that does this; negative if a signal ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = action()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(line: int, files: Collection[str | None], action: Callable[[], object]) -> bool:
    """Whether a forked process that does this was killed before that line of these files; it may run fewer."""

    def kill(reached: int) -> None:
        if reached == line:
            os.kill(os.getpid(), signal.SIGKILL)

    def life() -> int:
        _traced(files, action, kill)
        return 0

    status = in_child(life)
    assert status in (0, -signal.SIGKILL)
    return status != 0


def lines_to_kill_at(files: Collection[str | None], folder: Path, action: Callable[[], object]) -> list[int]:
    """Lines of these files, as they run, at which kills leave all that any kill can leave.

    What a killed process leaves is the contents of its files. These are compared before every line, while a forked
    process does the action once; a line that finds what the line before found adds no kill of its own. The last number
    is that of the line after the last.

    Args:
        files: source files whose lines count.
        folder: holds every file that the action writes.
        action: to be killed.
    """
    lines, state = list[int](), ""

    def compare(reached: int) -> None:
        nonlocal state
        before, state = state, _contents(folder)
        if state != before:
            lines.append(reached)

    with TemporaryFile("w+") as report:

        def life() -> int:
            last = _traced(files, action, compare)
            report.write(json.dumps([*lines, last]))
            report.flush()
            return 0

        assert in_child(life) == 0
        report.seek(0)
        numbers: list[int] = json.loads(report.read())
    return numbers


def _traced(
    files: Collection[str | None], action: Callable[[], object], before: Callable[[int], None]
) -> int:
    """Run the action, and call `before` with the number of every line of these files before it runs; their count."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files or frame.f_code.co_name == "<genexpr>":
            return None  # an expression writes nothing
        if event == "line":
            before(lines)
            lines += 1
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return lines


def _contents(folder: Path) -> str:
    """Hash of the names and contents of everything below a folder."""
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path} {len(content)} ".encode() + content)
    return digest.hexdigest()
