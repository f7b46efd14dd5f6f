"""Search for settings of a federation file, inside the training patients of one fold.

The patients of the closed fold are in no folder that a run reads. Every other patient is in an inner fold, on copies
of the hospitals' folders. For every setting, inner fold and seed the federation is trained on the other folds, and the
held-out patients are judged as a simulation judges them.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import OptionError
from common.files import write_whole
from common.installed_code import code_hash
from common.lifetime.signals import with_remedy
from server.runs.coordination import RunFailed
from simulations.cohorts.cohort_folder import CohortFolder
from simulations.cohorts.folders import find_sites
from simulations.engines.environment import unchanged_environment
from simulations.engines.process_pool import available_cores
from simulations.experiment.arms import write_agreement
from simulations.experiment.experiment import ExperimentPlan
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import make_plan, state_in
from simulations.results.schema import FederationName
from simulations.simulate import one_thread
from simulations.tuning.finished import FinishedRuns, SearchFile, TuningRun
from simulations.tuning.grid import Candidate, candidates
from simulations.tuning.inner_folds import draw_inner_folds
from simulations.tuning.options import TuningOptions
from simulations.tuning.result import RESULT, TuningResult
from simulations.tuning.search import Search, Step
from simulations.tuning.verdicts import Judge, choose
from simulations.work_folder import work_folder

TUNED = "tuned"
"""Folder of the federation file with the chosen settings, and its public files."""


def tune(cohort: CohortFolder, options: TuningOptions, say: Callable[[str], None]) -> TuningResult:
    """Search for better settings, and write `tune.json` and the chosen federation file.

    Runs that the folder has are not trained again. `say` is called with a line for every finished run.

    Raises:
        InputError: for anything the person can mend.
        RunFailed: if the federation cannot be trained with the file's own settings.
    """
    try:
        with (
            unchanged_environment(),
            one_thread(),
            work_folder() as work,
            state_in(work),
        ):
            return _tuned(cohort, options, say, work)
    except KeyboardInterrupt as interruption:
        remedy = f"finished runs are in {options.out}, and the same command goes on."
        raise with_remedy(interruption, remedy) from None


def _tuned(
    cohort: CohortFolder, options: TuningOptions, say: Callable[[str], None], work: Path
) -> TuningResult:
    started = time.monotonic()
    _check_out(cohort.folder, options.out)
    plan = make_plan(
        cohort, ExperimentOptions(settings=dict(options.settings), device=options.device), work / "outer"
    )
    tried = candidates(plan.federation, options.over, options.budget)
    inner = draw_inner_folds(plan, options.fold, options.inner_folds, work)
    description = SearchFile(
        closed_fold=inner.closed,
        inner_folds=options.inner_folds,
        patients=inner.digest,
        code=code_hash(),
        device=options.device,
    )
    seeds = tuple(plan.seed + number for number in range(options.seeds))
    search = Search(plan, inner, FinishedRuns(options.out, description), work, options.device)
    judging = _judging(list(search.cohorts.outcomes), options.tasks)
    grid = [Candidate({}, plan.federation), *tried]
    steps = [Step(candidate, fold, seed) for seed in seeds for fold in inner.folds for candidate in grid]
    left = [step for step in steps if search.run(step) is None]
    left = left if options.runs is None else left[: options.runs]
    report = _Report(say, judging, len(left))
    limit = math.inf if options.minutes is None else started + 60 * options.minutes
    processes = options.processes or available_cores()
    search.train(left, processes, report.run, lambda: time.monotonic() >= limit)
    result = _result(cohort.name, plan, options, search, steps, judging)
    _write(result, plan, grid, options.out)
    return result


class _Report:
    """Lines about finished runs."""

    def __init__(self, say: Callable[[str], None], judging: Sequence[str], runs: int) -> None:
        self._say, self._judging, self._runs, self._over = say, judging, runs, 0

    def run(self, step: Step, run: TuningRun) -> None:
        """Say how a run ended."""
        self._over += 1
        changes = ", ".join(f"{key}={value}" for key, value in step.candidate.changes.items())
        scores = [run.scores.get(name) for name in self._judging]
        shown = ", ".join("undefined" if score is None else f"{score:.3f}" for score in scores)
        ended = shown if run.trained else "could not be trained"
        where = f"inner fold {step.fold}, seed {step.seed}"
        self._say(f"run {self._over} of {self._runs}: {changes or 'settings of the file'}, {where}: {ended}")


def _check_out(cohort: Path, out: Path) -> None:
    """Refuse a folder of the cohort, or of another one."""
    occupied = {cohort.resolve(), *(site.resolve() for site in find_sites(cohort))}
    if out.resolve() in occupied or any(out.glob("*/site.toml")):
        raise OptionError(f"--out {out}", "is a folder of a cohort", "name another folder")


def _judging(questions: list[str], asked: Sequence[str]) -> list[str]:
    """Return the questions that judge a setting."""
    for task in asked:
        if task not in questions:
            raise OptionError(
                f"--task {task}", "is not in the federation file", f"use {', '.join(questions)}"
            )
    return [question for question in questions if not asked or question in asked]


def _result(
    cohort: str,
    plan: ExperimentPlan,
    options: TuningOptions,
    search: Search,
    steps: Sequence[Step],
    judging: Sequence[str],
) -> TuningResult:
    """Judge the settings by the finished runs.

    Raises:
        RunFailed: if runs of the file's own settings are over, and none could be trained.
    """
    grid = {step.candidate.agreement.digest: step.candidate for step in steps}
    runs: dict[str, dict[tuple[int, int], TuningRun]] = {digest: {} for digest in grid}
    for step in steps:
        if (run := search.run(step)) is not None:
            runs[step.candidate.agreement.digest][step.fold, step.seed] = run
    file_runs = runs.pop(plan.federation.digest)
    if file_runs and not any(run.trained for run in file_runs.values()):
        raise RunFailed("The federation could not be trained with the file's own settings on an inner fold.")
    folds, seeds = search.inner.folds, tuple(sorted({step.seed for step in steps}))
    judge = Judge(file_runs, folds, seeds, judging, len(runs))
    settings = tuple(judge.judge(grid[digest], finished) for digest, finished in runs.items())
    best = choose(settings)
    return TuningResult(
        cohort=cohort,
        federation=FederationName(name=plan.federation.name, digest=plan.federation.digest),
        changed=dict(options.settings),
        closed_fold=search.inner.closed,
        inner_folds=len(folds),
        seeds=seeds,
        level=judge.level,
        runs=len(steps),
        finished=len(file_runs) + sum(map(len, runs.values())),
        file_scores=judge.file_scores(
            {question: outcome.metric for question, outcome in search.cohorts.outcomes.items()}
        ),
        settings=settings,
        chosen=None if best is None else best.settings,
    )


def _write(result: TuningResult, plan: ExperimentPlan, grid: Sequence[Candidate], out: Path) -> None:
    """Write the result and, if a setting is better, the federation file that has it."""
    shutil.rmtree(out / TUNED, ignore_errors=True)
    if result.chosen is not None:
        agreement = next(item.agreement for item in grid if item.changes == result.chosen)
        write_agreement(agreement, plan.folder, out / TUNED)
    write_whole(out / RESULT, result.model_dump_json(indent=2).encode() + b"\n")
