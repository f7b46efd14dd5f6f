"""Plan of an experiment, made from what was asked for."""

import os
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path

from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.played_site import play
from client.site_folder.site_file import SITE_FILE, read_site_file, require_agreement, site_toml
from client.training.device import find_device
from common.agreement.agreement import FILE_NAME, Agreement
from common.counting import counted
from common.errors import InvalidContentError, MissingFileError, OptionError, StateError
from server.aggregation.registry import require_registered
from server.records.result import WEIGHTS
from simulations.cohorts.cohort_folder import CohortFolder
from simulations.cohorts.folders import find_sites, site_files
from simulations.engines.environment import environment_set
from simulations.engines.names import Engine
from simulations.engines.process_pool import available_cores
from simulations.experiment.experiment import ExperimentPlan
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.private_arms import settled
from simulations.families.folds import with_folds
from simulations.families.registry import study_of

MADE_FOLDS = 5


LARGE_BYTES = 2_000_000


RESULT, REPORT, CHECKPOINT = "result.json", "report.html", "checkpoint"


def state_in(work: Path) -> AbstractContextManager[None]:
    """Keep the state of ledgers and Flower in the working folder, in child processes too."""
    return environment_set({STATE_VARIABLE: str(work / "state"), "FLWR_HOME": str(work / "flower")})


def make_plan(cohort: CohortFolder, options: ExperimentOptions, work: Path) -> ExperimentPlan:
    """Prepare the experiment that was asked for, on a cohort.

    Raises:
        InputError: for a device, fold or setting that does not fit, site folders that do not belong to the
            federation file, or an `out` that cannot be written to.
    """
    if options.device is not None and options.ray_address is None:  # a cluster's machines have their own
        find_device(options.device, f"--device {options.device}")
    folder = cohort.folder
    agreed = cohort.federation
    study = study_of(agreed)
    federation, targets = settled(agreed, options.changes, options.epsilons, options.delta)
    require_registered(federation.training)
    sites = find_sites(folder)
    if options.out is not None:
        _require_no_result(options)
        _check_out(options.out, {folder.resolve(), *(site.resolve() for site in sites)})
    # hospitals approve the file as it is, not the settings of a simulation
    agreed = agreed.model_copy(update={"minimum_patients": federation.minimum_patients})
    _check_participants(folder, sites, agreed)
    for target in targets[:1]:  # the targets differ in noise alone
        for site in sites:
            require_agreement(play(site), site_toml(site), target.federation)
    size = sum(file.stat().st_size for file in site_files(sites) if file.is_file())
    sites, held = with_folds(study, sites, agreed, work / "folds", MADE_FOLDS, federation.training.seed)
    return ExperimentPlan(
        cohort=cohort.name,
        folder=folder,
        sites=sites,
        federation=federation,
        folds=_chosen(held, options),
        engine=options.engine or _engine(size),
        work=work,
        options=options,
        targets=targets,
        runs=None if options.out is None else options.out / CHECKPOINT,
    )


def _chosen(held: tuple[int, ...], options: ExperimentOptions) -> tuple[int, ...]:
    """The folds to hold out, of those there are."""
    if options.fold is not None:
        return (options.fold,)
    if options.folds is None:
        return held
    if options.folds > len(held):
        raise OptionError(
            f"--folds {options.folds}", f"the cohort has {counted(len(held), 'fold')}", "ask for fewer"
        )
    return held[: options.folds]


def holds_result(out: Path) -> bool:
    """Return whether a folder holds the result of a simulation."""
    return (out / RESULT).is_file()


def _require_no_result(options: ExperimentOptions) -> None:
    """Refuse to write over a result, unless it goes on or was given up.

    Raises:
        StateError: if `out` holds one.
    """
    if options.out is None or options.resume or options.replace or not holds_result(options.out):
        return
    what = f"holds the {RESULT} of a simulation"
    raise StateError(f"--out {options.out}", what, "name another folder, or add --replace")


def _check_out(out: Path, cohort: Set[Path]) -> None:
    """Check before training that the result can be written without touching another cohort."""
    for path in (out, *out.absolute().parents):
        if path.is_symlink() and not path.exists():
            raise OptionError(f"--out {out}", f"{path} is a link to nothing", "name another folder")
    if out.resolve() in cohort:
        raise OptionError(f"--out {out}", "is a folder of the cohort", "name another folder")
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise OptionError(f"--out {out}", f"{existing} is not a folder", "name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OptionError(f"--out {out}", f"{existing} is not yours to write to", "name another folder")
    for name in (RESULT, REPORT, WEIGHTS, FILE_NAME):
        if (out / name).is_dir():
            raise OptionError(f"--out {out}", f"its {name} is a folder", "remove it, or name another folder")
    if any(out.glob(f"*/{SITE_FILE}")):
        raise OptionError(f"--out {out}", "holds the site folders of a cohort", "name another folder")
    if (out / FILE_NAME).exists() and not ((out / RESULT).exists() or (out / CHECKPOINT).exists()):
        what = f"holds a {FILE_NAME} that no {RESULT} belongs to"
        raise OptionError(f"--out {out}", what, "name another folder")


def _check_participants(folder: Path, sites: Sequence[Path], federation: Agreement) -> None:
    """Check that participants and site folders are the same.

    A missing participant would be waited for.
    """
    names = [read_site_file(site, federation).name for site in sites]
    participants = [participant.name for participant in federation.participants]
    for site, name in zip(sites, names, strict=True):
        if name not in participants:
            what = f"its name is not among the participants of {FILE_NAME}"
            raise InvalidContentError(str(site / SITE_FILE), what, "correct the name, or add the participant")
        if names.count(name) > 1:
            raise InvalidContentError(
                str(site / SITE_FILE), "another site has the same name", "give each its own"
            )
    if missing := [name for name in participants if name not in names]:
        what = f"participant {missing[0]} has no site folder"
        raise MissingFileError(str(folder / FILE_NAME), what, "add its folder, or remove the participant")


def _engine(size: int) -> Engine:
    """Worker processes where their start is repaid, by the size of the tables in bytes."""
    return "processes" if size > LARGE_BYTES and available_cores() > 1 else "serial"
