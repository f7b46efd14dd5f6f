"""Proof of concept: from a cohort to a finished run of real processes."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from common.errors import StateError
from common.lifetime.signals import ENDING
from server.commands.follow import PARTIAL
from server.home.places import CoordinatorHome
from server.records.submission import last_folder
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.sources import is_known
from simulations.poc.federation import LiveFederation
from simulations.poc.hospitals import COORDINATOR, FederationLayout, lay_out
from simulations.work_folder import room_in, work_folder


@dataclass(frozen=True)
class ProofRequest:
    """Proof of concept that is asked for.

    Attributes:
        cohort: name of a cohort, or a folder with a federation file and site folders.
        data: folder of public data.
        hospitals: number of hospitals; None for the usual one.
        rounds: number of rounds; None for the usual one.
        keep: folder that stays; None for a temporary one.
    """

    cohort: str
    data: Path | None = None
    hospitals: int | None = None
    rounds: int | None = None
    keep: Path | None = None


@dataclass(frozen=True)
class Proof:
    """Finished run of a federation whose processes have ended.

    Attributes:
        layout: hospitals and agreement.
        folder: of everything.
        commands: that were run, in order, as a person would type them in that folder.
        run: folder of the run; None if it was never begun.
        code: exit code of the run.
        seconds: that everything took.
    """

    layout: FederationLayout
    folder: Path
    commands: tuple[str, ...]
    run: Path | None
    code: int
    seconds: float


@contextmanager
def proven(request: ProofRequest, show: Callable[[str], None], say: Callable[[str], None]) -> Iterator[Proof]:
    """Run a federation from its first command to its end.

    Files of an unkept one last as long as the block.

    Args:
        request: what is asked for.
        show: takes every command line before it is run.
        say: takes sentences, and the lines of the run.

    Raises:
        InputError: for a cohort or a folder that cannot be used; nothing is left then.
        CommandFailed: if a command fails or one of the processes ends too early; all have ended then.
    """
    with one_interruption(), ExitStack() as stack:
        if request.keep is None:
            folder = stack.enter_context(work_folder()).resolve()
        else:
            folder = stack.enter_context(kept_folder(request.keep))
            stack.enter_context(room_in(folder))
        yield _prove(request, folder, show, say)


def _prove(
    request: ProofRequest, folder: Path, show: Callable[[str], None], say: Callable[[str], None]
) -> Proof:
    begun, commands = time.monotonic(), []

    def shown(line: str) -> None:
        commands.append(line)
        show(line)

    with open_cohort(request.cohort, data=request.data) as cohort:
        layout = lay_out(cohort, folder, is_known(request.cohort), request.hospitals, request.rounds)
    for note in layout.notes:
        say(note)
    with LiveFederation(folder, layout.hospitals, shown) as federation:
        federation.initialise()
        federation.start_coordinator()
        federation.approve()
        federation.wait_for_coordinator()
        for hospital in layout.hospitals:
            federation.enrol(hospital)
            federation.start_hospital(hospital)
        code = federation.run(say)
        run = last_folder(federation.home.runs)
        if code in (0, PARTIAL):
            for line in federation.report():
                say(line)
    return Proof(layout, folder, tuple(commands), run, code, time.monotonic() - begun)


@contextmanager
def kept_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that stays, unless the block fails before a run has begun.

    Raises:
        StateError: if there is something at its place.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise StateError(str(folder), "is there already", "name a folder that does not exist yet")
    folder.mkdir(0o700, parents=True, exist_ok=True)
    try:
        yield folder.resolve()
    except BaseException:
        runs = CoordinatorHome(folder / COORDINATOR).runs
        if not runs.is_dir() or last_folder(runs) is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def one_interruption() -> Iterator[None]:
    """Have Ctrl-C interrupt a block once, whose end it must not cut short."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGINT)}
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in (*ENDING, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
