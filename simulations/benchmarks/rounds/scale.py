"""Benchmark `scale`: time and memory of a round with more hospitals, patients or genes.

One of the three numbers changes at a time, around a federation of 10 synthetic hospitals with 50 patients and 60 genes
each. Time that grows in proportion to patients shows as a constant time per patient.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from common.agreement.federation import FILE_NAME, load, save
from common.errors import OptionError
from common.models.registry import build_model
from simulations.benchmarks.measuring.process_tree import require_proc
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.benchmarks.rounds.federated_run import MeasuredRun, run_measured
from simulations.cohorts.synthetic import write_synthetic
from simulations.engines.process_pool import available_cores
from simulations.results.machine import Record
from simulations.work_folder import work_folder

ENGINES = ("serial", "processes")


SITES, PATIENTS, GENES = (10, 40, 160), (50, 100, 200), (60, 240, 960)


class Size(Record):
    """Size of a federation; `patients` and `genes` are those of one hospital."""

    sites: int
    patients: int
    genes: int


class SizeCost(Record):
    """Cost of a federation of one size: medians over the rounds after the first of all repeats.

    Attributes:
        parameters: number of parameters of the model.
        starting_s: seconds until the first request of a round, all tables read and statistics in.
        round_s: seconds of a round of training.
        processor_s: seconds of a round on all processors.
        peak_mib: most memory of all processes together.
        growth_mib: memory after the last round less memory after the first.
    """

    size: Size
    parameters: int
    starting_s: float
    round_s: float
    processor_s: float
    peak_mib: float
    growth_mib: float

    @property
    def patient_ms(self) -> float:
        """Milliseconds of a round per patient."""
        return 1000 * self.round_s / (self.size.sites * self.size.patients)


class ScaleFigures(Figures):
    """Costs of all sizes on one engine."""

    engine: str
    workers: int
    rounds: int
    repeats: int
    costs: tuple[SizeCost, ...]


def sizes(sites: Sequence[int], patients: Sequence[int], genes: Sequence[int]) -> list[Size]:
    """List the first size, and the sizes that differ from it in one number."""
    first = Size(sites=sites[0], patients=patients[0], genes=genes[0])
    listed = [first]
    for name, numbers in (("sites", sites), ("patients", patients), ("genes", genes)):
        listed += [first.model_copy(update={name: number}) for number in numbers]
    return list(dict.fromkeys(listed))


def run_scale(
    wanted: Sequence[Size],
    engine: str,
    rounds: int,
    repeats: int,
    out: Path | None,
    say: Callable[[str], None] = lambda text: None,
) -> ScaleFigures:
    """Measure federations of several sizes, in turns.

    Args:
        wanted: sizes to measure.
        engine: one of `ENGINES`.
        rounds: number of training rounds in a run.
        repeats: number of runs of a size.
        out: JSON file for the figures.
        say: called with the progress.

    Raises:
        InputError: if the system or the engine cannot be measured here.
    """
    require_proc("bench scale")
    if engine not in ENGINES:
        raise OptionError(
            f"--engine {engine}", "is not one that is measured here", f"use {', '.join(ENGINES)}"
        )
    runs: dict[Size, list[MeasuredRun]] = {size: [] for size in wanted}
    parameters: dict[Size, int] = {}
    for repeat in range(repeats):
        for size in wanted:
            say(
                f"{size.sites:,} sites of {size.patients:,} patients, {size.genes:,} genes, "
                f"{repeat + 1} of {repeats}"
            )
            with work_folder() as name:
                cohort = name / "cohort"
                parameters[size] = _write(cohort, size, rounds)
                runs[size].append(run_measured(cohort, engine))
    measured = ScaleFigures(
        engine=engine,
        workers=1 if engine == "serial" else available_cores(),
        rounds=rounds,
        repeats=repeats,
        costs=tuple(_cost(size, parameters[size], size_runs) for size, size_runs in runs.items()),
    )
    measured.write(out)
    return measured


def _write(folder: Path, size: Size, rounds: int) -> int:
    """Write the hospitals, and return the model's number of parameters."""
    write_synthetic(folder, sites=size.sites, patients=size.patients, genes=size.genes)
    settings = {
        "training.rounds": str(rounds),
        "training.patience": str(rounds),
        "training.linear_rounds": "0",
    }
    federation = load(folder / FILE_NAME).changed(settings)
    save(federation, folder / FILE_NAME)
    return sum(parameter.numel() for parameter in build_model(federation, folder, seed=0).parameters())


def _cost(size: Size, parameters: int, runs: Sequence[MeasuredRun]) -> SizeCost:
    rounds = [round_ for run in runs for round_ in run.rounds[1:]]  # the first round warms up
    return SizeCost(
        size=size,
        parameters=parameters,
        starting_s=median(run.starting_s for run in runs),
        round_s=median(round_.seconds for round_ in rounds),
        processor_s=median(round_.processor_s for round_ in rounds),
        peak_mib=median(run.peak_mib for run in runs),
        growth_mib=median(run.growth_mib for run in runs),
    )


def scale_table(figures: ScaleFigures) -> str:
    """Write the costs as a Markdown table, with the time per patient over the first row's."""
    heads = ["sites", "patients each", "genes", "parameters", "start, s", "round, s", "CPU s"]
    heads += ["ms/patient", "over first", "memory, MiB", "growth, MiB"]
    rows = [heads]
    first = figures.costs[0]
    for cost in figures.costs:
        cells = [
            f"{cost.size.sites:,}",
            f"{cost.size.patients:,}",
            f"{cost.size.genes:,}",
            f"{cost.parameters:,}",
            f"{cost.starting_s:.1f}",
            f"{cost.round_s:.2f}",
            f"{cost.processor_s:.2f}",
            f"{cost.patient_ms:.2f}",
            f"{cost.patient_ms / first.patient_ms:.2f}x",
            f"{cost.peak_mib:,.0f}",
            f"{cost.growth_mib:+,.0f}",
        ]
        rows.append(cells)
    footer = (
        f"Engine {figures.engine}, {figures.workers} at a time; medians of {figures.repeats} runs of "
        f"{figures.rounds} rounds without the first; memory is the peak of all processes together, growth from the "
        f"end of the first round to that of the last. {figures.origin}."
    )
    return f"{markdown('r' * len(heads), rows)}\n\n{footer}"
