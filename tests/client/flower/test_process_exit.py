"""A process ends with its work: at once, with its code, and with what it said."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading
from client.flower.process_exit import end_after
atexit.register(lambda: print("taken apart"))
threading.Thread(target=threading.Event().wait).start()
def work():
    print("worked")
    {last}
end_after(work, "test", returned=4)
"""


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("return", 4),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('CANARY-8371')", 1),
        ("raise ValueError('CANARY-8371')", 1),
        ("raise KeyboardInterrupt", 1),
    ],
)
def test_a_process_ends_with_its_work_though_a_thread_would_keep_it(last: str, code: int) -> None:
    command = [sys.executable, "-c", PROGRAM.format(last=last)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, "worked\n")
    assert "CANARY" not in ended.stderr
    assert ("the test ended" in ended.stderr) == last.startswith("raise")
