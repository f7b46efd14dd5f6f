"""Inner folds of the patients outside a closed fold, in played sites."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from client.site_folder.played_site import play
from common.agreement.agreement import Agreement
from common.errors import OptionError
from simulations.experiment.checkpoint import files_digest
from simulations.experiment.experiment import ExperimentPlan
from simulations.families.folds import with_folds, without_fold
from simulations.families.registry import study_of


@dataclass(frozen=True)
class InnerFolds:
    """Played sites without the patients of a closed fold, with folds of the others.

    Attributes:
        closed: the fold whose patients are in none of these folders.
        sites: folders of played sites, which have inner folds.
        folds: inner folds to hold out in turn.
        names: names of the sites.
        digest: SHA-256 over the tables of the sites, and which of their units are in which fold.
    """

    closed: int
    sites: tuple[Path, ...]
    folds: tuple[int, ...]
    names: frozenset[str]
    digest: str

    def agreement(self, agreement: Agreement) -> Agreement:
        """Return the agreement of these sites, which are smaller than the whole ones, or fewer."""
        participants = tuple(hospital for hospital in agreement.participants if hospital.name in self.names)
        return agreement.model_copy(update={"minimum_patients": 1, "participants": participants})


def draw_inner_folds(plan: ExperimentPlan, fold: int | None, count: int, work: Path) -> InnerFolds:
    """Play a plan's sites without a fold's patients, and draw folds of the others.

    Inner folds are random, every site and outcome spread as evenly as its size allows.

    Args:
        plan: with site folders that name the folds.
        fold: the fold to close; None for the first.
        count: number of inner folds.
        work: empty folder for the played sites.

    Raises:
        InputError: for a fold that there is not, one that holds all patients out, or tables that are not valid.
    """
    closed = plan.folds[0] if fold is None else fold
    if closed not in plan.folds:
        listed = ", ".join(map(str, plan.folds))
        raise OptionError(f"--fold {closed}", "no patient is held out in that fold", f"choose of {listed}")
    study = study_of(plan.federation)
    remaining = without_fold(study, plan.sites, plan.federation, closed, work / "remaining")
    if not remaining:
        what = "holds all patients out, so that none is left to choose settings with"
        raise OptionError(f"--fold {closed}", what, "choose another fold")
    reading = plan.federation.model_copy(update={"minimum_patients": 1})
    sites, folds = with_folds(study, remaining, reading, work / "inner", count, plan.seed)
    names = frozenset(play(site).name for site in sites)
    return InnerFolds(closed, tuple(sites), folds, names, _digest(sites))


def _digest(sites: Sequence[Path]) -> str:
    """SHA-256 over the tables of played sites and which of their units are in which fold."""
    files = [play(site) for site in sites]
    tables = [Path(table) for file in files for _, table in sorted(file.tables.items())]
    total = hashlib.sha256(files_digest(tables).encode())
    for file in files:
        total.update(file.model_dump_json(exclude={"tables"}).encode())
    return total.hexdigest()
