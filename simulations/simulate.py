"""`consilium simulate`: from a cohort's name to a printed answer, and files if asked for."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import torch
from rich.console import Console

from client.cohort import SITE_FILE, read_site_file
from client.device import find_device
from client.ledger_heads import STATE_VARIABLE
from common.errors import REFUSALS, InputError, RefusalCode
from common.federation import FILE_NAME, Federation
from common.federation import load as load_federation
from server.coordination import RunFailed
from server.journal import FILE_NAME as JOURNAL
from server.journal import RunRecord, read_journal
from server.replies import REASONS, Dropped, DropReason
from server.result import WEIGHTS, save_result
from simulations.allocator import keep_freed_memory
from simulations.arms import write_agreement
from simulations.cohorts.folders import find_sites
from simulations.cohorts.folds import with_folds
from simulations.cohorts.sources import default_data, is_known, write_cohort
from simulations.engine import Engine
from simulations.experiment import Experiment, FoldOutcome, Plan
from simulations.private_arms import settled
from simulations.process_pool import available_cores
from simulations.progress import Progress, print_results
from simulations.report import render
from simulations.result import write_whole
from simulations.summary import evidence, summarise_experiment

MADE_FOLDS = 5
LARGE_BYTES = 2_000_000
FAILED, PARTIAL = 1, 3
RESULT, REPORT = "result.json", "report.html"


@dataclass(frozen=True)
class Request:
    """The command line of `consilium simulate`."""

    cohort: str
    data: Path | None
    rounds: int | None
    fold: int | None
    folds: int | None
    seed: int | None
    engine: str | None
    settings: tuple[str, ...]
    out: Path | None
    command: str
    epsilons: tuple[float, ...] = ()
    delta: float | None = None
    hospitals: int | None = None
    patients: int | None = None
    federated_only: bool = False
    ray_address: str | None = None
    device: str | None = None


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
            write_whole(request.out / REPORT, page)
            written = f"Written to {request.out}: {REPORT}, {RESULT}, {WEIGHTS}, {FILE_NAME}, journals"
            console.print(written, markup=False, highlight=False, soft_wrap=True)
    if all(fold.status == "completed" for fold in result.folds):
        return 0
    print("consilium: some rounds had no quorum of hospitals and do not count.", file=sys.stderr)
    return PARTIAL


@contextmanager
def state_in(work: Path) -> Iterator[None]:
    """Have what ledgers, and Flower, keep in a user's home kept in the working folder, in child processes too."""
    places = {STATE_VARIABLE: str(work / "state"), "FLWR_HOME": str(work / "flower")}
    before = {name: os.environ.get(name) for name in places}
    os.environ.update(places)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def make_plan(request: Request, work: Path) -> Plan:
    """Prepare site folders and the federation file.

    Raises:
        InputError: for an unknown cohort, engine, device, fold or setting.
    """
    if request.engine not in (None, *get_args(Engine)):
        raise InputError(
            f"--engine {request.engine}", "is not an engine", f"use {', '.join(get_args(Engine))}"
        )
    if request.fold is not None and request.folds is not None:
        raise InputError("--fold and --folds", "exclude each other", "give one of them")
    if request.ray_address is not None and request.engine != "ray":
        raise InputError("--ray-address", "says nothing without --engine ray", "add it")
    if request.device is not None and request.ray_address is None:  # a cluster's machines have their own
        find_device(request.device, f"--device {request.device}")
    settings = _settings(request)
    folder = Path(request.cohort)
    if is_known(request.cohort) or request.hospitals or request.patients or not folder.is_dir():
        folder = work / "cohort"
        data, size = request.data or default_data(), (request.hospitals, request.patients)
        write_cohort(request.cohort, data, folder, request.seed or 0, *size)
    elif not (folder / FILE_NAME).is_file():
        raise InputError(str(folder), f"holds no {FILE_NAME}", "name a cohort, or a folder that has one")
    agreed = load_federation(folder / FILE_NAME)
    federation, targets = settled(agreed, settings, request.epsilons, request.delta)
    sites = find_sites(folder)
    if request.out is not None:
        _check_out(request.out, {folder.resolve(), *(site.resolve() for site in sites)})
    # hospitals approve the file as it is, not the settings of a simulation
    agreed = agreed.model_copy(update={"minimum_patients": federation.minimum_patients})
    _check_participants(folder, sites, agreed)
    sites, held = with_folds(sites, agreed, work / "folds", MADE_FOLDS, federation.training.seed)
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
        seed=federation.training.seed,
        engine=cast(Engine, request.engine or _engine(sites)),
        work=work,
        command=request.command,
        targets=targets,
        federated_only=request.federated_only,
        ray_address=request.ray_address,
        device=request.device,
    )


def _check_out(out: Path, cohort: Set[Path]) -> None:
    """Find out before training whether the result can be written, without touching this or another cohort."""
    for place in (out, *out.absolute().parents):
        if place.is_symlink() and not place.exists():
            raise InputError(f"--out {out}", f"{place} is a link to nothing", "name another folder")
    if out.resolve() in cohort:
        raise InputError(f"--out {out}", "is a folder of the cohort", "name another folder")
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"--out {out}", f"{there} is not a folder", "name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}", f"{there} is not yours to write to", "name another folder")
    for name in (RESULT, REPORT, WEIGHTS, FILE_NAME):
        if (out / name).is_dir():
            raise InputError(f"--out {out}", f"its {name} is a folder", "remove it, or name another folder")
    if any(out.glob(f"*/{SITE_FILE}")):
        raise InputError(f"--out {out}", "holds the site folders of a cohort", "name another folder")
    if (out / FILE_NAME).exists() and not (out / RESULT).exists():
        what = f"holds a {FILE_NAME} that no {RESULT} belongs to"
        raise InputError(f"--out {out}", what, "name another folder")


def _check_participants(folder: Path, sites: Sequence[Path], federation: Federation) -> None:
    """Every participant has one site folder and every site folder is a participant's: none is waited for."""
    names = [read_site_file(site, federation).name for site in sites]
    participants = [participant.name for participant in federation.participants]
    for site, name in zip(sites, names, strict=True):
        if name not in participants:
            what = f"its name is not among the participants of {FILE_NAME}"
            raise InputError(str(site / SITE_FILE), what, "correct the name, or add the participant")
        if names.count(name) > 1:
            raise InputError(str(site / SITE_FILE), "another site has the same name", "give each its own")
    if missing := [name for name in participants if name not in names]:
        what = f"participant {missing[0]} has no site folder"
        raise InputError(str(folder / FILE_NAME), what, "add its folder, or remove the participant")


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
    if request.seed is not None:
        settings["training.seed"] = str(request.seed)
    return settings


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
