"""SIGTERM and SIGHUP as orderly ends: they unwind a process as Ctrl-C does.

Python dies of them at once, and leaves its temporary folders. `timeout`, `docker stop`, `scancel` and a terminal that
is closed send them.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """End by a signal; what handles Ctrl-C handles it too.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int, remedy: str = "") -> None:
        super().__init__(*([remedy] if remedy else []))
        self.number = number


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Exit code of an interrupted process, as shells count it: 128 and the signal's number."""
    return 128 + _number(interruption)


def cause(interruption: KeyboardInterrupt) -> str:
    """Words for the cause of an interruption."""
    number = _number(interruption)
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


def with_remedy(interruption: KeyboardInterrupt, remedy: str) -> KeyboardInterrupt:
    """Return an interruption by the same signal, whose text is a remedy."""
    if isinstance(interruption, Ended):
        return Ended(interruption.number, remedy)
    return KeyboardInterrupt(remedy)


@contextmanager
def signals_raised() -> Iterator[bool]:
    """Have SIGTERM and SIGHUP raise `Ended` in a block, where nobody else handles them.

    Whether they do is what the block is given. What `nohup` has the process ignore stays ignored; in another thread
    than the main one, in which Python handles no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGINT)}
    taken = [number for number in ENDING if before[number] is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield bool(taken)
    finally:
        for number in before if taken else ():
            if signal.getsignal(number) in (_end, signal.SIG_IGN):
                signal.signal(number, before[number])


@contextmanager
def unwound() -> Iterator[None]:
    """Have SIGTERM and SIGHUP unwind a block, and exit with the signal's code then.

    Raises:
        SystemExit: at the end of the block, if a signal came that nobody else handles.
    """
    with signals_raised() as taken:
        try:
            yield
        except Ended as ended:
            if not taken:
                raise
            raise SystemExit(exit_code(ended)) from None


def _end(number: int, frame: FrameType | None) -> None:
    for other in (
        *ENDING,
        signal.SIGINT,
    ):  # who sends one often sends another, which must not cut the end short
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)


def _number(interruption: KeyboardInterrupt) -> int:
    return interruption.number if isinstance(interruption, Ended) else signal.SIGINT
