"""`consilium simulate`: from a cohort's name to a printed answer, and files if asked for."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console

from common.agreement.federation import FILE_NAME
from common.errors import REFUSALS, RefusalCode
from common.files import write_whole
from server.records.dropped import REASONS, Dropped, DropReason
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import RunRecord, read_journal
from server.records.result import WEIGHTS, save_result
from server.runs.coordination import RunFailed
from simulations.engines.allocator import keep_freed_memory
from simulations.experiment.arms import write_agreement
from simulations.experiment.experiment import Experiment, FoldOutcome, Plan
from simulations.experiment.preparing import REPORT, RESULT, Request, make_plan, state_in
from simulations.experiment.summary import evidence, summarise_experiment
from simulations.report.live import Progress
from simulations.report.page import render
from simulations.report.terminal import print_results

FAILED, PARTIAL = 1, 3


def simulate(request: Request) -> int:
    """Run the experiment, print its answer, write its files; returns the exit code.

    Raises:
        InputError: for anything the person can mend; nothing is written then.
    """
    console = Console()
    keep_freed_memory()
    torch.set_num_threads(1)  # the steps are too small for more: sites in parallel gain, threads do not
    with tempfile.TemporaryDirectory(prefix="consilium-") as temporary, state_in(Path(temporary)):
        plan = make_plan(request, Path(temporary))
        started = time.perf_counter()
        try:
            with Progress(plan.federation.training.rounds, console) as progress:
                experiment = Experiment(plan, progress)
                folds = experiment.run()
                progress.stage("comparing the arms")
                result = summarise_experiment(experiment, folds, time.perf_counter() - started)
        except RunFailed as error:
            print(f"consilium: {error}", *_missing(plan), sep="\n", file=sys.stderr)
            return FAILED
        print_results(result, console)
        if request.out is not None:
            page = render(result, evidence(experiment, folds))
            _write(experiment, folds, request.out)
            result.write(request.out / RESULT)
            write_whole(request.out / REPORT, page.encode())
            written = f"Written to {request.out}: {REPORT}, {RESULT}, {WEIGHTS}, {FILE_NAME}, journals"
            console.print(written, markup=False, highlight=False, soft_wrap=True)
    if all(fold.status == "completed" for fold in result.folds):
        return 0
    print("consilium: some rounds had no quorum of hospitals and do not count.", file=sys.stderr)
    return PARTIAL


def _missing(plan: Plan) -> list[str]:
    """Who had no part in the run that failed, and why: its journal goes with the working folder."""
    journals = [plan.work / "federated" / f"fold{fold}" for fold in plan.folds]
    dropped: list[Dropped] = []
    for record in read_journal([folder for folder in journals if (folder / JOURNAL).is_file()][-1]):
        dropped += record.left_out if isinstance(record, RunRecord) else record.dropped
    names = sorted({each.site for each in dropped if each.site is not None})
    reasons = dict.fromkeys(
        REFUSALS[RefusalCode(each.code)] if each.code in set(RefusalCode) else REASONS[each.reason]
        for each in dropped
        if each.reason not in (DropReason.NO_REPLY, DropReason.ABSENT)
    )
    return [f"Without a part: {', '.join(names)}. {' '.join(reasons)}"] if names else []


def _write(experiment: Experiment, folds: list[FoldOutcome], out: Path) -> None:
    """The federated arm's agreement, its last fold's weights and preprocessing, and every journal."""
    write_agreement(experiment.federation, experiment.plan.folder, out)
    save_result(out, folds[-1].federated.result)
    for kind in ("journal-fold*.jsonl", "journal-epsilon-*-fold*.jsonl"):
        for earlier in out.glob(kind):
            earlier.unlink()
    names = {"federated": "journal"} | {each.folder: f"journal-{each.folder}" for each in experiment.targets}
    for arm, name in names.items():
        for fold in experiment.plan.folds:
            written = experiment.plan.work / arm / f"fold{fold}" / JOURNAL
            shutil.copyfile(written, out / f"{name}-fold{fold}.jsonl")
