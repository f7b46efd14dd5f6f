"""Checkpoint of an experiment: its description and the state of every run.

`OUT/checkpoint/experiment.json`, which is sealed, describes the experiment; `OUT/checkpoint/ARM/foldN` holds a run's
journal, its state and, once it is finished, its weights and the seal of these files. Cohorts and
settings are checked by their hashes before anything goes on.
"""

import hashlib
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from common.agreement.agreement import FILE_NAME, Agreement
from common.counting import counted
from common.errors import IntegrityError, MissingFileError, OptionError, StateError
from common.files import write_whole
from common.sealed_json import BrokenSealError, sealed, unsealed
from simulations.cohorts.cohort_folder import CohortFolder, Origin, open_cohort
from simulations.cohorts.folders import find_sites, site_files
from simulations.experiment.experiment import ExperimentPlan
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import CHECKPOINT

DESCRIPTION = "experiment.json"


NOT_KEPT = ("out", "progress", "resume", "replace")
"""Options that a resumed experiment is given anew."""


class OriginFile(BaseModel):
    """`Origin` of the cohort."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: str
    data: str | None
    seed: int
    hospitals: int | None
    patients: int | None


class ExperimentFile(BaseModel):
    """The description of an experiment.

    Attributes:
        package: version of the package that began it.
        origin: of the cohort.
        options: as they were asked for.
        rounds: planned in all.
        linear_rounds: of these, as planned; None if neither file nor plan has any.
        agreements: arm -> digest of its agreement, the rounds left out.
        folds: that are held out in turn.
        tables: SHA-256 over the cohort's files.
        finished: whether all runs are over and the result is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    package: str
    origin: OriginFile
    options: dict[str, Any]
    rounds: int
    linear_rounds: int | None = None
    agreements: dict[str, str]
    folds: tuple[int, ...]
    tables: str
    finished: bool = False

    def write(self, out: Path) -> None:
        """Write the description, whole and durably."""
        write_whole(out / CHECKPOINT / DESCRIPTION, sealed(self.model_dump_json(indent=2).encode()))


def new_description(plan: ExperimentPlan, cohort: CohortFolder) -> ExperimentFile:
    """The description of an experiment that is about to begin or to go on."""
    agreements = {"federated": _digest(plan.federation)}
    agreements |= {target.folder: _digest(target.federation) for target in plan.targets}
    options = {name: value for name, value in asdict(plan.options).items() if name not in NOT_KEPT}
    return ExperimentFile(
        package=version("consilium"),
        origin=OriginFile(**asdict(cohort.origin)),
        options=options,
        rounds=plan.federation.training.rounds,
        linear_rounds=plan.federation.training.linear_rounds,
        agreements=agreements,
        folds=plan.folds,
        tables=files_digest([cohort.folder / FILE_NAME, *site_files(find_sites(cohort.folder))]),
    )


def begin(plan: ExperimentPlan, cohort: CohortFolder, out: Path) -> ExperimentFile:
    """Prepare `out` for a new or resumed experiment, and return the description.

    Raises:
        InputError: if an unfinished experiment is in the way, or the one to go on with is another.
    """
    now = new_description(plan, cohort)
    before = find_description(out)
    if before is not None and plan.options.resume:
        _check(before, now, out)
    elif before is not None and not before.finished:
        remedy = f"resume it by `consilium simulate --resume {shlex.quote(str(out))}`, or remove {out / CHECKPOINT}"
        raise StateError(f"--out {out}", "holds an experiment that is not finished", remedy)
    else:
        shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
    now.write(out)
    return now


def abandon(out: Path) -> None:
    """Remove the checkpoint of an experiment that cannot run, and `out` if it is then empty."""
    shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
    if not any(out.iterdir()):
        out.rmdir()


def find_description(out: Path) -> ExperimentFile | None:
    """The description of the experiment in `out`; None if there is none.

    Raises:
        IntegrityError: if it is damaged.
    """
    path = out / CHECKPOINT / DESCRIPTION
    try:
        return ExperimentFile.model_validate_json(unsealed(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (BrokenSealError, ValidationError):
        raise IntegrityError(str(path), "is damaged", f"remove {out / CHECKPOINT} and begin again") from None


def reopen(out: Path, changes: dict[str, Any]) -> tuple[CohortFolder, ExperimentOptions]:
    """Return cohort and options of the experiment in `out`.

    Options that do not change its weights may be replaced.

    Raises:
        InputError: if there is no experiment, or its cohort cannot be opened.
    """
    file = find_description(out)
    if file is None:
        remedy = "name the folder that `consilium simulate --out` was given"
        raise MissingFileError(str(out), "holds no experiment to resume", remedy)
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in file.options.items()}
    if "rounds" in changes and file.linear_rounds is not None:  # more rounds come after the same linear ones
        kept["settings"] = dict(kept["settings"]) | {"training.linear_rounds": file.linear_rounds}
    options = ExperimentOptions(**{**kept, **changes, "out": out, "resume": True})
    origin = Origin(**file.origin.model_dump())
    if Path(origin.cohort).is_absolute():
        return open_cohort(Path(origin.cohort)), options
    return (
        open_cohort(
            origin.cohort,
            data=origin.data,
            seed=origin.seed,
            hospitals=origin.hospitals,
            patients=origin.patients,
        ),
        options,
    )


def _check(before: ExperimentFile, now: ExperimentFile, out: Path) -> None:
    """Refuse to go on with another experiment than the one that began."""
    where = f"--resume {out}"
    if before.options.get("engine") == "ray" and now.options.get("engine") == "ray":
        what = "was begun on Ray, whose nodes have other names in another run"
        raise OptionError(where, what, "add --engine serial or --engine processes: the weights are the same")
    if before.package != now.package:
        what = f"was begun with version {before.package}, and this is {now.package}"
        raise StateError(where, what, f"install version {before.package}, or begin again in another folder")
    if before.tables != now.tables:
        what = "the cohort's files are not those that the experiment began with"
        raise IntegrityError(where, what, "put them back, or begin again in another folder")
    if now.rounds != before.rounds:
        _check_rounds(before, now.rounds, where)
    arms = [file.options["federated_only"] for file in (before, now)]
    if (before.agreements, before.folds, arms[0]) != (now.agreements, now.folds, arms[1]):
        what = "settings, seed, folds or arms are not those that the experiment began with"
        raise StateError(where, what, "leave them out to resume, or begin again in another folder")


def _check_rounds(before: ExperimentFile, rounds: int, where: str) -> None:
    """Refuse other rounds than a finished experiment can be continued with."""
    if before.options["epsilons"]:
        what = "has noise that was chosen for its rounds and epsilon"
        raise OptionError(where, what, "plan a new experiment with more rounds")
    if not before.finished:
        raise StateError(where, "is not finished", "resume it without --rounds first")
    if rounds < before.rounds:
        raise OptionError(where, f"had {counted(before.rounds, 'round')}", "ask for more")


def _digest(federation: Agreement) -> str:
    """The digest of an agreement, its number of rounds left out."""
    training = federation.training.model_copy(update={"rounds": 1})
    return federation.model_copy(update={"training": training}).digest


def files_digest(files: Iterable[Path]) -> str:
    """SHA-256 over files, with their names and those of their folders."""
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.name} {path.parent.name}\n".encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
