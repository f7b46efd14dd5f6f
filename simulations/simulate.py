"""`consilium simulate`: from a cohort's name to a printed answer, and files if asked for."""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import torch
from rich.console import Console

from common.errors import InputError
from common.federation import FILE_NAME, save
from common.federation import load as load_federation
from server.coordination import RunFailed
from server.journal import FILE_NAME as JOURNAL
from server.result import save_result
from simulations.cohorts.folders import find_sites
from simulations.cohorts.folds import with_folds
from simulations.cohorts.sources import default_data, write_cohort
from simulations.engine import Engine
from simulations.experiment import Experiment, FoldOutcome, Plan
from simulations.process_pool import available_cores
from simulations.progress import Progress, print_results
from simulations.report import render
from simulations.result import write_whole
from simulations.summary import evidence, summarise_experiment

MADE_FOLDS = 5
LARGE_BYTES = 2_000_000
FAILED, PARTIAL = 1, 3


@dataclass(frozen=True)
class Request:
    """The command line of `consilium simulate`."""

    cohort: str
    data: Path | None
    rounds: int | None
    fold: int | None
    folds: int | None
    seed: int
    engine: str | None
    settings: tuple[str, ...]
    out: Path | None
    command: str


def simulate(request: Request) -> int:
    """Run the experiment, print its answer, write its files; returns the exit code.

    Raises:
        InputError: for anything the person can mend; nothing is written then.
    """
    console = Console()
    torch.set_num_threads(1)  # the steps are too small for more: sites in parallel gain, threads do not
    with tempfile.TemporaryDirectory(prefix="consilium-") as temporary:
        plan = make_plan(request, Path(temporary))
        started = time.perf_counter()
        try:
            with Progress(plan.federation.training.rounds, console) as progress:
                experiment = Experiment(plan, progress)
                folds = experiment.run()
                progress.stage("comparing the arms")
                result = summarise_experiment(experiment, folds, time.perf_counter() - started)
        except RunFailed as error:
            print(f"consilium: {error}", file=sys.stderr)
            return FAILED
        print_results(result, console)
        if request.out is not None:
            page = render(result, evidence(experiment, folds))
            _write(experiment, folds, request.out)
            result.write(request.out / "result.json")
            write_whole(request.out / "report.html", page)
            console.print(
                f"Written: {request.out}/report.html, result.json, weights.safetensors, {FILE_NAME}"
            )
    return PARTIAL if any(fold.status == "partial" for fold in result.folds) else 0


def make_plan(request: Request, work: Path) -> Plan:
    """Prepare site folders and the federation file.

    Raises:
        InputError: for an unknown cohort, engine, fold or setting.
    """
    if request.engine not in (None, *get_args(Engine)):
        raise InputError(
            f"--engine {request.engine}", "is not an engine", f"use {', '.join(get_args(Engine))}"
        )
    if request.fold is not None and request.folds is not None:
        raise InputError("--fold and --folds", "exclude each other", "give one of them")
    if request.out is not None and request.out.exists() and not request.out.is_dir():
        raise InputError(f"--out {request.out}", "is not a folder", "name a folder")
    folder = Path(request.cohort)
    if not (folder / FILE_NAME).is_file():
        if folder.is_dir():
            raise InputError(str(folder), f"holds no {FILE_NAME}", "name a cohort, or a folder that has one")
        folder = work / "cohort"
        write_cohort(request.cohort, request.data or default_data(), folder, request.seed)
    federation = load_federation(folder / FILE_NAME).changed(_settings(request))
    sites, held = with_folds(find_sites(folder), federation, work / "folds", MADE_FOLDS, request.seed)
    if request.fold is not None:
        held = (request.fold,)
    elif request.folds is not None:
        if request.folds > len(held):
            raise InputError(f"--folds {request.folds}", f"the cohort has {len(held)} folds", "ask for fewer")
        held = held[: request.folds]
    return Plan(
        cohort=request.cohort if folder.parent == work else folder.resolve().name,
        folder=folder,
        sites=sites,
        federation=federation,
        folds=held,
        seed=request.seed,
        engine=cast(Engine, request.engine or _engine(sites)),
        work=work,
        command=request.command,
    )


def _engine(sites: Sequence[Path]) -> Engine:
    """Worker processes where their start is repaid, which depends on the size of the tables."""
    size = sum(file.stat().st_size for site in sites for file in site.iterdir() if file.is_file())
    return "processes" if size > LARGE_BYTES and available_cores() > 1 else "serial"


def _settings(request: Request) -> dict[str, str]:
    settings = {}
    for text in request.settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(
                f"--set {text}", "is not KEY=VALUE", "write for instance --set training.rounds=20"
            )
        settings[key] = value
    if request.rounds is not None:
        settings["training.rounds"] = str(request.rounds)
    return settings


def _write(experiment: Experiment, folds: list[FoldOutcome], out: Path) -> None:
    """The federation file used, the last fold's weights and preprocessing, and the journal of every fold."""
    out.mkdir(parents=True, exist_ok=True)
    save(experiment.federation, out / FILE_NAME)
    save_result(out, folds[-1].federated.result)
    for fold in experiment.plan.folds:
        shutil.copyfile(
            experiment.plan.work / "federated" / f"fold{fold}" / JOURNAL, out / f"journal-fold{fold}.jsonl"
        )
