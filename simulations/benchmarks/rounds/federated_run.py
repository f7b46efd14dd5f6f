"""Runs a federation on one engine in a process of its own, and measures that process and all it starts."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from client.site_folder.outside import STATE_VARIABLE
from common.errors import InputError
from simulations.benchmarks.measuring.process_tree import Watch, memory, processor_seconds
from simulations.benchmarks.rounds.timed_app import NOTES
from simulations.engines.process_pool import ONE_THREAD

MIB = 2**20


@dataclass(frozen=True)
class MeasuredRound:
    """One round of training.

    Attributes:
        seconds: from the end of the round before, packing and averaging included; of the first from its requests.
        processor_s: of the whole process tree.
        app_s, app_processor_s: of the hospitals' app, over all messages.
        server_s: processor seconds of the ServerApp itself.
    """

    seconds: float
    processor_s: float
    app_s: float
    app_processor_s: float
    server_s: float


@dataclass(frozen=True)
class MeasuredRun:
    """A run from the start of its process to its end.

    Attributes:
        starting_s: until the first round was asked for, the hospitals' statistics included.
        rounds: of training.
        peak_mib: the most memory of the process tree; a page that processes share counts once.
        growth_mib: memory at the end of the last round over that at the end of the first.
    """

    starting_s: float
    rounds: tuple[MeasuredRound, ...]
    peak_mib: float
    growth_mib: float


def run_measured(cohort: Path, engine: str) -> MeasuredRun:
    """Train the hospitals of a cohort folder together, on one engine.

    Raises:
        InputError: if the run ended before its last round, or a hospital's reply was not there.
    """
    with TemporaryDirectory() as name:
        out = Path(name) / "out"
        command = [
            sys.executable,
            "-m",
            "consilium.program",
            "simulations.benchmarks.rounds.process",
            str(cohort),
            engine,
            str(out),
        ]
        environment = {**os.environ, **ONE_THREAD, STATE_VARIABLE: str(Path(name) / "state")}
        began = time.perf_counter()
        exchanges: list[tuple[str, int, float, int, float, float]] = []
        processor, held, ended = [], [], []
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process,
            Watch(process.pid) as watch,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if not line.startswith("["):  # Ray speaks up on standard output
                    continue
                exchanges.append(tuple(json.loads(line)))
                processor.append(processor_seconds(process.pid))
                held.append(memory(process.pid))
                ended.append(time.perf_counter() - began)
        if process.returncode != 0 or not exchanges:
            raise InputError(f"the {engine} engine", "did not finish", "see its message above")
        apps = _noted(out / NOTES)
    training = [place for place, told in enumerate(exchanges) if told[0] == "train"]
    return MeasuredRun(
        starting_s=ended[0] - exchanges[0][2],
        rounds=tuple(
            MeasuredRound(
                seconds=exchanges[place][5] if place else exchanges[place][2],
                processor_s=processor[place] - (processor[place - 1] if place else 0.0),
                app_s=apps[exchanges[place][1]][0],
                app_processor_s=apps[exchanges[place][1]][1],
                server_s=exchanges[place][4],
            )
            for place in training
        ),
        peak_mib=watch.peak / MIB,
        growth_mib=(held[training[-1]] - held[training[0]]) / MIB,
    )


def _noted(folder: Path) -> dict[int, tuple[float, float]]:
    """Round of training -> wall-clock and processor seconds of the hospitals' app, over all messages."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for file in folder.iterdir():
        for line in file.read_text().splitlines():
            kind, number, wall, processor = json.loads(line)
            if kind == "train":
                sums[number][0] += wall
                sums[number][1] += processor
    return {number: (wall, processor) for number, (wall, processor) in sums.items()}
