"""Simulations of one cohort with several seeds: a folder each, and a summary over seeds.

Given again, the command goes on: seeds that are finished are read, and those that were interrupted are resumed.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev

from pydantic import BaseModel, ConfigDict

from common.counting import counted
from common.errors import OptionError, StateError
from common.files import write_whole
from common.json_output import print_json
from server.runs.coordination import RunFailed
from simulations.cohorts.cohort_folder import open_cohort
from simulations.engines.allocator import keep_freed_memory
from simulations.experiment.checkpoint import NOT_KEPT, find_description
from simulations.experiment.options import ExperimentOptions, Options
from simulations.experiment.preparing import RESULT
from simulations.results.schema import ARM_NAMES, SimulationResult
from simulations.simulate import resume
from simulations.simulate import simulate as run_experiment

SUMMARY = "seeds.json"


FAILED, PARTIAL = 1, 3


_MAY_DIFFER = (*NOT_KEPT, "command", "engine", "device", "ray_address")
"""Options that do not change the weights."""


class SeedSpread(BaseModel):
    """Headline metric of an arm over seeds; every seed has other splits and other first weights.

    Attributes:
        task: of the metric.
        arm: of the experiment.
        metric: that compares the arms.
        mean, sd: over seeds, of the means over folds; `sd` is None for one seed.
        per_seed: seed -> mean over folds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    arm: str
    metric: str
    mean: float | None
    sd: float | None
    per_seed: dict[int, float | None]


class SeedsSummary(BaseModel):
    """Content of `seeds.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: str
    seeds: tuple[int, ...]
    figures: tuple[SeedSpread, ...]


def simulate_seeds(
    seeds: int,
    cohort: str,
    data: Path | None,
    hospitals: int | None,
    patients: int | None,
    options: Options,
    as_json: bool = False,
) -> int:
    """Simulate with several seeds and print the spread; returns the exit code.

    The first seed is that of the options.

    Raises:
        InputError: for anything the person can mend, such as a folder with another experiment of that seed.
    """
    if options.out is None:
        raise OptionError("--seeds", "needs --out", "name the folder that a folder per seed goes to")
    keep_freed_memory()
    out, first = Path(options.out), options.seed or 0
    results: dict[int, SimulationResult] = {}
    for seed in range(first, first + seeds):
        asked = replace(options, seed=seed, out=out / f"seed-{seed}", progress=not as_json)
        completed = ExperimentOptions.completed(asked, asked.command_line(cohort))
        try:
            results[seed] = _simulated(seed, cohort, data, hospitals, patients, completed)
        except RunFailed as error:
            print(f"consilium: seed {seed}: {error}", file=sys.stderr)
            return FAILED
    summary = summary_of(results)
    write_whole(out / SUMMARY, summary.model_dump_json(indent=2).encode() + b"\n")
    if as_json:
        print_json(summary)
    else:
        print(summary_text(summary))
        print(f"Written to {out}: {SUMMARY}, and a folder per seed")
    complete = all(fold.status == "completed" for result in results.values() for fold in result.folds)
    return 0 if complete else PARTIAL


def _simulated(
    seed: int,
    cohort: str,
    data: Path | None,
    hospitals: int | None,
    patients: int | None,
    options: ExperimentOptions,
) -> SimulationResult:
    """Return the result of a seed: read, resumed or simulated."""
    assert options.out is not None
    before = None if options.replace else find_description(options.out)
    if before is not None:
        kept, wanted = (_weighty(given) for given in (before.options, asdict(options)))
        if kept != wanted:
            what = f"holds another experiment of seed {seed}"
            raise StateError(str(options.out), what, "name another folder for --out, or add --replace")
        if before.finished:
            return SimulationResult.read(options.out / RESULT)
        return resume(
            options.out, engine=options.engine, device=options.device, progress=options.progress
        ).result
    with open_cohort(cohort, data=data, seed=seed, hospitals=hospitals, patients=patients) as opened:
        return run_experiment(opened, options).result


def _weighty(options: dict[str, object]) -> str:
    """Options that change the weights, as text to compare."""
    kept = {name: value for name, value in options.items() if name not in _MAY_DIFFER}
    return json.dumps(kept, sort_keys=True, default=str)


def summary_of(results: dict[int, SimulationResult]) -> SeedsSummary:
    """Summarise the headline metrics of the results of several seeds."""
    first = next(iter(results.values()))
    figures = []
    for task, outcome in first.outcomes.items():
        for arm in first.arms(task):
            heads = {seed: result.headline(task, arm) for seed, result in results.items()}
            per_seed = {seed: None if head is None else head.mean for seed, head in heads.items()}
            values = [value for value in per_seed.values() if value is not None]
            figures.append(
                SeedSpread(
                    task=task,
                    arm=arm,
                    metric=outcome.metric,
                    mean=fmean(values) if values else None,
                    sd=stdev(values) if len(values) > 1 else None,
                    per_seed=per_seed,
                )
            )
    return SeedsSummary(cohort=first.cohort, seeds=tuple(results), figures=tuple(figures))


def summary_text(summary: SeedsSummary) -> str:
    """Lay out the spread over seeds for the terminal."""
    lines = [f"{summary.cohort}, {counted(len(summary.seeds), 'seed')}: {_listed(summary.seeds)}"]
    names = {str(arm): name for arm, name in ARM_NAMES.items()}
    for spread in summary.figures:
        mean = "unknown" if spread.mean is None else f"{spread.mean:.3f}"
        sd = "" if spread.sd is None else f" +- {spread.sd:.3f}"
        values = ["—" if value is None else f"{value:.3f}" for value in spread.per_seed.values()]
        lines.append(f"{spread.task}, {names[spread.arm]}: {spread.metric} {mean}{sd} ({_listed(values)})")
    return "\n".join(lines)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(str(value) for value in values)
