import signal
import subprocess
import sys
import threading

import pytest

from common.lifetime.signals import exit_code, signals_raised, with_remedy

UNWINDING = """
import signal
from contextlib import contextmanager
from common.lifetime.signals import unwound

number = signal.Signals({number})

@contextmanager
def folder():
    try:
        yield
    finally:
        signal.raise_signal(signal.SIGTERM)  # a second one does not cut the end short
        print("removed")

try:
    with unwound(), folder():
        signal.raise_signal(number)
except SystemExit as ended:
    print(ended.code)
print(signal.getsignal(number) is signal.SIG_DFL)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
NESTED = """
import signal
from common.lifetime.signals import Ended, cause, exit_code, signals_raised, unwound, with_remedy

try:
    with signals_raised(), unwound():
        signal.raise_signal(signal.SIGTERM)
except Ended as ended:
    again = with_remedy(ended, "resume it")
    print(exit_code(ended), cause(ended), exit_code(again), again, sep="\\n")
"""


def printed(code: str) -> list[str]:
    """Lines that a process of its own prints: a signal that goes astray ends none of the tests' processes."""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_a_block_and_ends_it_with_its_code(number: signal.Signals, code: int) -> None:
    told = printed(UNWINDING.format(number=int(number)))
    assert told == ["removed", str(code), "True", "True"]


def test_an_outer_block_has_the_signal_to_itself() -> None:
    assert printed(NESTED) == ["143", "ended by SIGTERM", "143", "resume it"]


def test_ctrl_c_keeps_its_code_and_its_remedy() -> None:
    assert exit_code(KeyboardInterrupt()) == 130
    assert str(with_remedy(KeyboardInterrupt(), "resume it")) == "resume it"


def test_another_thread_goes_on_without_signals() -> None:
    given: list[bool] = []

    def run() -> None:
        with signals_raised() as taken:
            given.append(taken)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert given == [False]


def test_what_nohup_ignores_stays_ignored() -> None:
    code = (
        "import os, signal\nfrom common.lifetime.signals import unwound\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with unwound(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "goes on\n"
