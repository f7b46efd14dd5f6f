"""Run of a federation on one engine in a measured process."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from client.site_folder.outside import STATE_VARIABLE
from common.errors import StateError
from simulations.benchmarks.measuring.process_tree import Watch, memory, processor_seconds
from simulations.benchmarks.rounds.timed_app import NOTES
from simulations.engines.process_pool import ONE_THREAD
from simulations.work_folder import work_folder

MIB = 2**20


@dataclass(frozen=True)
class MeasuredRound:
    """Times of one round of training.

    Attributes:
        seconds: seconds since the end of the round before, packing and averaging included; the first round counts from
            its requests.
        processor_s: processor seconds of the whole process tree.
        app_s, app_processor_s: seconds of the hospitals' app, over all messages.
        server_s: processor seconds of the ServerApp itself.
    """

    seconds: float
    processor_s: float
    app_s: float
    app_processor_s: float
    server_s: float


@dataclass(frozen=True)
class MeasuredRun:
    """Times and memory of a run from the start of its process to its end.

    Attributes:
        starting_s: seconds until the first request of a round, the hospitals' statistics included.
        rounds: rounds of training.
        peak_mib: most memory of the process tree; a page that processes share counts once.
        growth_mib: memory at the end of the last round less memory at the end of the first.
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
    with work_folder() as name:
        out = name / "out"
        command = [
            sys.executable,
            "-m",
            "consilium.program",
            "simulations.benchmarks.rounds.process",
            str(cohort),
            engine,
            str(out),
        ]
        environment = {**os.environ, **ONE_THREAD, STATE_VARIABLE: str(name / "state")}
        began = time.perf_counter()
        exchanges: list[tuple[str, int, float, int, float, float]] = []
        processor, held, ended = [], [], []
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process,
            Watch(process.pid) as watch,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if not line.startswith("["):  # Ray writes to standard output too
                    continue
                exchanges.append(tuple(json.loads(line)))
                processor.append(processor_seconds(process.pid))
                held.append(memory(process.pid))
                ended.append(time.perf_counter() - began)
        if process.returncode != 0 or not exchanges:
            raise StateError(f"the {engine} engine", "did not finish", "see its message above")
        apps = _noted(out / NOTES)
    training = [index for index, exchange in enumerate(exchanges) if exchange[0] == "train"]
    return MeasuredRun(
        starting_s=ended[0] - exchanges[0][2],
        rounds=tuple(
            MeasuredRound(
                seconds=exchanges[index][5] if index else exchanges[index][2],
                processor_s=processor[index] - (processor[index - 1] if index else 0.0),
                app_s=apps[exchanges[index][1]][0],
                app_processor_s=apps[exchanges[index][1]][1],
                server_s=exchanges[index][4],
            )
            for index in training
        ),
        peak_mib=watch.peak / MIB,
        growth_mib=(held[training[-1]] - held[training[0]]) / MIB,
    )


def _noted(folder: Path) -> dict[int, tuple[float, float]]:
    """Round of training -> (seconds, processor seconds) of the hospitals' app."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for file in folder.iterdir():
        for line in file.read_text().splitlines():
            kind, number, wall, processor = json.loads(line)
            if kind == "train":
                sums[number][0] += wall
                sums[number][1] += processor
    return {number: (wall, processor) for number, (wall, processor) in sums.items()}
