import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.lifetime.signals import Ended, cause, exit_code, signals_raised, unwound, with_remedy


@pytest.fixture(autouse=True)
def _as_a_process_begins() -> Iterator[None]:
    """Signals as Python has them at first, whatever a library left in this process by an earlier test."""
    first: dict[signal.Signals, Any] = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in first.items()}
    yield
    for number, handler in before.items():
        if handler is not None:  # of a handler that is not Python's own
            signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_a_block_and_ends_it_with_its_code(number: signal.Signals, code: int) -> None:
    removed = []

    @contextmanager
    def folder() -> Iterator[None]:
        try:
            yield
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not cut the end short
            removed.append(True)

    with pytest.raises(SystemExit) as ended, unwound(), folder():
        signal.raise_signal(number)
    assert ended.value.code == code
    assert removed
    assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_outer_block_has_the_signal_to_itself() -> None:
    with pytest.raises(Ended) as ended, signals_raised(), unwound():
        signal.raise_signal(signal.SIGTERM)
    assert (exit_code(ended.value), cause(ended.value)) == (143, "ended by SIGTERM")
    again = with_remedy(ended.value, "resume it")
    assert (exit_code(again), str(again)) == (143, "resume it")


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
