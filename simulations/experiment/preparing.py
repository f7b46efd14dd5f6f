"""Plan of an experiment, made from what was asked for."""

import os
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.site_file import SITE_FILE, read_site_file
from client.training.device import find_device
from common.agreement.federation import FILE_NAME, Federation
from common.agreement.federation import load as load_federation
from common.errors import InputError
from server.aggregation.registry import require_registered
from server.records.result import WEIGHTS
from simulations.cohorts.folders import find_sites
from simulations.cohorts.folds import with_folds
from simulations.cohorts.sources import default_data, is_known, write_cohort
from simulations.engines.environment import environment
from simulations.engines.in_process import Engine
from simulations.engines.process_pool import available_cores
from simulations.experiment.experiment import Plan
from simulations.experiment.private_arms import settled

MADE_FOLDS = 5


LARGE_BYTES = 2_000_000


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


def state_in(work: Path) -> AbstractContextManager[None]:
    """Keep in the working folder what ledgers and Flower keep in a user's home, in child processes too."""
    return environment({STATE_VARIABLE: str(work / "state"), "FLWR_HOME": str(work / "flower")})


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
    require_registered(federation.training)
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
