"""Simulation of a federation: from a cohort and options to figures, and files if asked for."""

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from common.errors import InputError
from common.files import write_whole
from common.lifetime.leftovers import remove_unfinished
from common.lifetime.signals import with_remedy
from server.records.assessment import copy_answers
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import read_journal
from server.records.result import WEIGHTS, load_result, save_result
from server.runs.coordination import RunFailed
from simulations.cohorts.cohort_folder import CohortFolder
from simulations.engines.environment import unchanged_environment
from simulations.engines.names import Engine
from simulations.engines.room import require_room
from simulations.experiment.absences import absences
from simulations.experiment.arms import TrainedFederation, write_agreement
from simulations.experiment.checkpoint import abandon, begin, find_description, reopen
from simulations.experiment.experiment import (
    FINAL,
    NONE_HELD_OUT,
    Experiment,
    ExperimentPlan,
    FoldOutcome,
)
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import REPORT, RESULT, make_plan, state_in
from simulations.experiment.summary import summarise_experiment
from simulations.report.page import render
from simulations.report.plots.drawing import Evidence
from simulations.report.screen.audience import display_for
from simulations.report.words.absences import absence_sentences
from simulations.results.robustness import Robustness
from simulations.results.schema import SimulationResult
from simulations.results.spoiling import WarningFigures
from simulations.work_folder import work_folder

MODELS = "models"
"""Folder of the models of single folds."""


@dataclass(frozen=True)
class Simulated:
    """A finished simulation.

    Attributes:
        result: the figures.
        evidence: curves on held-out units, whose data stay in memory.
    """

    result: SimulationResult
    evidence: Evidence


def simulate(cohort: CohortFolder, options: ExperimentOptions) -> Simulated:
    """Run the experiment, and write its files if an `out` is named.

    Threads of torch and the environment are afterwards as they were before the call.

    Raises:
        InputError: for anything the person can mend; nothing is written then.
        RunFailed: if the federation could not be trained; nothing is written then.
    """
    try:
        with (
            unchanged_environment(),
            one_thread(),
            work_folder() as work,
            state_in(work),
        ):
            return _simulated(cohort, options, work)
    except KeyboardInterrupt as interruption:
        if options.out is None or find_description(options.out) is None:
            raise
        remedy = f"go on by `consilium simulate --resume {shlex.quote(str(options.out))}`"
        raise with_remedy(interruption, f"{remedy}; nothing else was written.") from None


def resume(
    out: Path,
    rounds: int | None = None,
    engine: Engine | None = None,
    device: str | None = None,
    progress: bool | Literal["auto"] = "auto",
) -> Simulated:
    """Go on with the experiment in `out`, or continue a finished one with more rounds.

    Raises:
        InputError: if there is no experiment, its cohort has changed, or the rounds are not more than it had.
        RunFailed: as `simulate`.
    """
    changes = {"rounds": rounds, "engine": engine, "device": device}
    given = {name: value for name, value in changes.items() if value is not None}
    cohort, options = reopen(out, {**given, "progress": progress})
    with cohort:
        return simulate(cohort, options)


def _simulated(cohort: CohortFolder, options: ExperimentOptions, work: Path) -> Simulated:
    """Run the experiment in an empty folder, and write its files if an `out` is named."""
    plan = make_plan(cohort, options, work)
    if options.out is not None:
        remove_unfinished(options.out)
    robustness = None if options.out is None else Robustness.beside(options.out)
    warnings = None if options.out is None else WarningFigures.beside(options.out)
    description = None if options.out is None else begin(plan, cohort, options.out)
    started = time.perf_counter()
    try:
        with display_for(options.progress)(plan.federation.training.rounds) as audience:
            experiment = Experiment(plan, audience)
            folds = experiment.run()
            final = experiment.final_fit() if options.final else None
            audience.stage("comparing the arms")
            result = summarise_experiment(experiment, folds, time.perf_counter() - started)
    except InputError:
        if options.out is not None and not options.resume:
            abandon(options.out)
        raise
    except RunFailed as error:
        for fold in plan.folds:
            require_room(plan.run_folder("federated", fold))
        missing = _missing(plan, list(experiment.cohorts.described))
        if options.out is not None and not options.resume:
            abandon(options.out)
        raise RunFailed("\n".join([str(error), *missing])) from None
    seen = experiment.cohorts.evidence([fold.tasks for fold in folds])
    validations = {question: seen.validation(question) for question in result.tasks}
    judged = {question: validation for question, validation in validations.items() if validation is not None}
    result = result.model_copy(update={"validation": judged})
    if options.out is not None and description is not None:
        page = render(result, seen, robustness, warnings)
        _write(experiment, folds, options.out)
        _write_models(experiment, options.out)
        _write_final(experiment, final, options.out)
        result.write(options.out / RESULT)
        write_whole(options.out / REPORT, page.encode())
        description.model_copy(update={"finished": True}).write(options.out)
    return Simulated(result, seen)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: steps are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _missing(plan: ExperimentPlan, hospitals: list[str]) -> list[str]:
    """Sentences on the hospitals without a part in a failed run, with the causes that they gave."""
    journals = [plan.run_folder("federated", fold) for fold in plan.folds]
    records = read_journal([folder for folder in journals if (folder / JOURNAL).is_file()][-1])
    return absence_sentences(absences(records, hospitals), "the run")


def _write(experiment: Experiment, folds: list[FoldOutcome], out: Path) -> None:
    """Write the federated arm's agreement and journals, its last model and assessment."""
    write_agreement(experiment.federation, experiment.plan.folder, out)
    save_result(out, folds[-1].federated.result)
    copy_answers(experiment.plan.run_folder("federated", experiment.plan.folds[-1]), out)
    for kind in ("journal-fold*.jsonl", "journal-epsilon-*-fold*.jsonl", "journal-final.jsonl"):
        for earlier in out.glob(kind):
            earlier.unlink()
    names = {"federated": "journal"}
    names |= {target.folder: f"journal-{target.folder}" for target in experiment.targets}
    for arm, name in names.items():
        for fold in experiment.plan.folds:
            written = experiment.plan.run_folder(arm, fold) / JOURNAL
            write_whole(out / f"{name}-fold{fold}.jsonl", written.read_bytes())


def _write_models(experiment: Experiment, out: Path) -> None:
    """Write the federated and the private models of all folds below `MODELS`, each in a folder."""
    shutil.rmtree(out / MODELS, ignore_errors=True)
    for arm in ("federated", *(target.folder for target in experiment.targets)):
        for fold in experiment.plan.folds:
            trained = experiment.plan.run_folder(arm, fold)
            if (trained / WEIGHTS).is_file():  # a private run may have failed
                save_result(out / MODELS / f"{arm}-fold{fold}", load_result(trained))


def _write_final(experiment: Experiment, final: TrainedFederation | None, out: Path) -> None:
    """Write the model that was trained on all patients, with its agreement and journal."""
    shutil.rmtree(out / FINAL, ignore_errors=True)
    if final is None:
        return
    trained = experiment.plan.run_folder(FINAL, NONE_HELD_OUT)
    write_agreement(experiment.federation, experiment.plan.folder, out / FINAL)
    save_result(out / FINAL, final.result)
    copy_answers(trained, out / FINAL)
    write_whole(out / "journal-final.jsonl", (trained / JOURNAL).read_bytes())
