"""Benchmark `rounds`: time that an engine adds to a message, beside Flower's engine on Ray.

The same two apps run on every engine, on hospitals with so few patients that there is little to train. The time of the
apps is measured in their processes and subtracted; the rest belongs to the engine: carrying messages, waiting, and
starting processes.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from common.agreement.federation import FILE_NAME, load, save
from common.errors import MissingDependencyError, OptionError
from simulations.benchmarks.measuring.process_tree import require_proc
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.benchmarks.rounds.federated_run import MeasuredRun, run_measured
from simulations.cohorts.synthetic import write_synthetic
from simulations.engines.process_pool import available_cores
from simulations.results.machine import Record
from simulations.work_folder import work_folder

ENGINES = ("serial", "processes", "ray")


PATIENTS = 12
"""Patients of a hospital, so few that training takes hardly any time."""


LEAST_S = 1e-4
"""Smallest difference that can be measured between two times that are a hundred times as long."""


SMALL = {"genes": 16, "proteins": 4, "clinical": 4, "imaging": 4}


class Overhead(Record):
    """Overhead of one engine with so many sites, in seconds and MiB.

    Figures are medians over the rounds after the first of all repeats.

    Attributes:
        workers: number of sites that run at a time.
        starting_s: seconds from the start of the process to the first request of a round.
        round_s: seconds of a whole round.
        message_s: seconds of the engine per message: `workers` times the round less the work of the ServerApp, less
            the time in the hospitals' app, over the messages of a round.
        message_processor_s: seconds of the engine per message on all processors, less those of both apps.
        peak_mib: most memory of the process and its descendants, Ray's daemons among them.
    """

    engine: str
    sites: int
    workers: int
    starting_s: float
    round_s: float
    message_s: float
    message_processor_s: float
    peak_mib: float


class RoundsFigures(Figures):
    """Overheads of all engines and numbers of sites."""

    rounds: int
    repeats: int
    rows: tuple[Overhead, ...]


def run_rounds(
    engines: Sequence[str],
    sites: Sequence[int],
    rounds: int,
    repeats: int,
    out: Path | None,
    say: Callable[[str], None] = lambda text: None,
) -> RoundsFigures:
    """Measure every engine with every number of sites.

    Engines take turns, so that a busy minute is shared by all of them.

    Args:
        engines: some of `ENGINES`.
        sites: numbers of sites.
        rounds: number of training rounds in a run.
        repeats: number of runs of an engine.
        out: JSON file for the figures.
        say: called with the progress.

    Raises:
        InputError: if the system or the engines cannot be measured here.
    """
    require_proc("bench rounds")
    for engine in engines:
        if engine not in ENGINES:
            raise OptionError(f"--engine {engine}", "is not an engine", f"use {', '.join(ENGINES)}")
        if engine == "ray" and importlib.util.find_spec("ray") is None:
            raise MissingDependencyError("--engine ray", "Ray is not installed", 'install "consilium[ray]"')
    rows = []
    with work_folder() as name:
        for count in sites:
            cohort = _cohort(name / f"{count}", count, rounds)
            runs: dict[str, list[MeasuredRun]] = {engine: [] for engine in engines}
            for repeat in range(repeats):
                for engine in engines:
                    say(f"{count} sites, {engine}, {repeat + 1} of {repeats}")
                    runs[engine].append(run_measured(cohort, engine))
            rows += [_overhead(engine, count, engine_runs) for engine, engine_runs in runs.items()]
    measured = RoundsFigures(rounds=rounds, repeats=repeats, rows=tuple(rows))
    measured.write(out)
    return measured


def _cohort(folder: Path, sites: int, rounds: int) -> Path:
    write_synthetic(folder, sites=sites, patients=PATIENTS, lacking=0, **SMALL)
    settings = {
        "training.rounds": str(rounds),
        "training.patience": str(rounds),
        "training.linear_rounds": "0",
    }
    save(load(folder / FILE_NAME).changed(settings), folder / FILE_NAME)
    return folder


def _overhead(engine: str, sites: int, runs: Sequence[MeasuredRun]) -> Overhead:
    workers = 1 if engine == "serial" else min(available_cores(), sites)
    rounds = [round_ for run in runs for round_ in run.rounds[1:]]  # the first round warms up
    walls = [(workers * (round_.seconds - round_.server_s) - round_.app_s) / sites for round_ in rounds]
    processor = [(round_.processor_s - round_.server_s - round_.app_processor_s) / sites for round_ in rounds]
    return Overhead(
        engine=engine,
        sites=sites,
        workers=workers,
        starting_s=median(run.starting_s for run in runs),
        round_s=median(round_.seconds for round_ in rounds),
        message_s=median(walls),
        message_processor_s=median(processor),
        peak_mib=median(run.peak_mib for run in runs),
    )


def rounds_table(figures: RoundsFigures) -> str:
    """Write the overheads as a Markdown table, with ratios of Ray's figure to the row's."""
    heads = ["engine", "sites", "start, s", "round, s", "ms/message", "Ray's", "CPU ms/message", "Ray's"]
    heads += ["memory, MiB", "Ray's"]
    rows = [heads]
    rays = {row.sites: row for row in figures.rows if row.engine == "ray"}
    for row in figures.rows:
        ray = rays.get(row.sites)
        cells = [
            row.engine,
            f"{row.sites:,}",
            f"{row.starting_s:.1f}",
            f"{row.round_s:.2f}",
            _milliseconds(row.message_s),
            _ratio(ray.message_s if ray else None, row.message_s),
            _milliseconds(row.message_processor_s),
            _ratio(ray.message_processor_s if ray else None, row.message_processor_s),
            f"{row.peak_mib:,.0f}",
            _ratio(ray.peak_mib if ray else None, row.peak_mib),
        ]
        rows.append(cells)
    footer = (
        f"Per message: what the engine adds, without the two apps. {PATIENTS} patients per site, medians of "
        f"{figures.repeats} runs of {figures.rounds} rounds without the first; memory is the peak of the process "
        f"and all its children. {figures.origin}."
    )
    return f"{markdown('l' + 'r' * (len(heads) - 1), rows)}\n\n{footer}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f}" if seconds >= LEAST_S else f"under {1000 * LEAST_S:.1f}"


def _ratio(ray: float | None, ours: float) -> str:
    if ray is None:
        return "—"
    return f"{ray / ours:.1f}x" if ours >= LEAST_S else f"over {ray / LEAST_S:.0f}x"
