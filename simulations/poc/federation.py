"""Federation on this machine: coordinator and hospitals, from first command to end."""

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from client.runtime.services import state_file
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Home as SiteHome
from common.processes.supervision import end_leftovers
from server.home.places import CoordinatorHome
from simulations.poc.hospitals import AGREEMENT, COORDINATOR, OUTPUT, STATE, PlacedHospital
from simulations.poc.terminal import POLL_S, Running, Terminal, end_all

READY = "Ready after"


READY_S = 180.0
"""Seconds that a coordinator may take until it answers, on a machine that has much else to do."""


HOST = "localhost"


class LiveFederation:
    """Coordinator and hospitals of a folder, as real processes that end with a `with` block.

    The folder holds the agreement and the site folders; ledgers' heads and output of the commands come beside.

    Attributes:
        home: the coordinator's folder.
        started: commands that run until they are ended, the coordinator first.
    """

    def __init__(
        self, folder: Path, hospitals: Sequence[PlacedHospital], show: Callable[[str], None]
    ) -> None:
        self.home, self.hospitals = CoordinatorHome(folder / COORDINATOR), hospitals
        self.started: list[Running] = []
        self._terminal = Terminal(folder, {STATE_VARIABLE: str(folder / STATE)}, show)
        self._output = folder / OUTPUT
        self._output.mkdir(exist_ok=True)

    def initialise(self) -> None:
        """Make the folders of coordinator and hospitals.

        Raises:
            CommandFailed: if a command fails.
        """
        port, *local = free_ports(1 + len(self.hospitals))
        home = ("coordinator", "init", COORDINATOR, "--host", HOST, "--port", port)
        self._terminal.run(*home, "--federation", AGREEMENT)
        dialled = ("--coordinator", f"{HOST}:{port}", "--ca", f"{COORDINATOR}/{self.home.authority.name}")
        self._terminal.run_together(
            [
                ("site", "init", hospital.folder, "--name", hospital.name, *dialled, "--port", own_port)
                for hospital, own_port in zip(self.hospitals, local, strict=True)
            ]
        )

    def start_coordinator(self) -> None:
        """Start the coordinator, which answers some seconds later."""
        self._start("coordinator", COORDINATOR)

    def approve(self) -> None:
        """Have all hospitals approve the agreement, side by side.

        Raises:
            CommandFailed: if one cannot, or its policy forbids it.
        """
        self._terminal.run_together(
            [("site", "approve", hospital.folder, AGREEMENT, "--yes") for hospital in self.hospitals]
        )

    def wait_for_coordinator(self) -> None:
        """Wait until the coordinator answers.

        Raises:
            CommandFailed: if it has ended, or does not answer in time.
        """
        (coordinator, *_), end = self.started, monotonic() + READY_S
        while READY not in coordinator.output():
            coordinator.require()
            if monotonic() > end:
                coordinator.fail(f"does not answer after {READY_S:.0f} s")
            sleep(POLL_S)

    def enrol(self, hospital: PlacedHospital) -> None:
        """Have the coordinator enrol a hospital's key.

        Raises:
            CommandFailed: if it cannot.
        """
        key = SiteHome(Path(hospital.folder)).public_key
        self._terminal.run("coordinator", "enrol", COORDINATOR, hospital.name, key)

    def start_hospital(self, hospital: PlacedHospital) -> None:
        """Start a hospital, which connects some seconds later."""
        self._start("site", hospital.folder)

    def run(self, take: Callable[[str], None], *options: str) -> int:
        """Train the federation to the end of a run, and return the run's exit code.

        Args:
            take: takes a line of what the run says.
            options: of `consilium coordinator run`.

        Raises:
            CommandFailed: if coordinator or a hospital has ended meanwhile; the run has ended then, too.
        """
        return self._terminal.follow(take, self.started, "coordinator", "run", COORDINATOR, *options)

    def report(self) -> list[str]:
        """Write the page of the last run's report, and return the report's lines.

        Raises:
            CommandFailed: if it cannot be made.
        """
        return self._terminal.run("coordinator", "report", COORDINATOR).splitlines()

    def stop(self) -> None:
        """End everything that was started, and what killed supervisors have left.

        It may be repeated."""
        if self.started:
            for hospital in self.hospitals[: len(self.started) - 1]:
                self._terminal.shown("site", "stop", hospital.folder)
            self._terminal.shown("coordinator", "stop", COORDINATOR)
        states = [
            state_file(SiteHome(self._terminal.folder / hospital.folder)) for hospital in self.hospitals
        ]
        with ExitStack() as ends:
            for state in (self.home.services, *states):
                ends.callback(end_leftovers, state)
            end_all([running.process for running in self.started])
        self.started.clear()

    def _start(self, side: str, folder: str) -> None:
        log = self._output / f"{folder}.log"
        self.started.append(self._terminal.start(log, side, "start", folder))

    def __enter__(self) -> Self:
        """The federation, of which nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.stop()


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]
