"""Folds of held-out units: as the site folders publish them, or drawn here."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from client.families.played import read_played
from client.site_folder.played_site import play
from client.site_folder.site_file import SITE_FILE
from common.agreement.agreement import Agreement
from common.errors import InvalidContentError
from simulations.cohorts.patients import hold_out
from simulations.families.study import Study

A = TypeVar("A", bound=Agreement)
Q = TypeVar("Q")


def with_folds(
    study: Study[A, Q], sites: Sequence[Path], agreement: A, out: Path, count: int, seed: int
) -> tuple[list[Path], tuple[int, ...]]:
    """(site folders, real or played, that have folds; the folds there are).

    Every site has folds or none does. Where none does, played sites with `count` folds are written to `out`: random,
    every site and stratum spread as evenly as its size allows.

    Raises:
        InputError: if only some sites have folds or folds cannot be read, or they are to be drawn and a site's tables
            are not valid.
    """
    files = [play(site) for site in sites]
    if any(file.has_folds for file in files):
        if not all(file.has_folds for file in files):
            remedy = "name it in every site or in none, to have folds drawn"
            raise InvalidContentError(
                str(sites[0].parent), f"some {SITE_FILE} name a fold column and some do not", remedy
            )
        held = {fold for site in sites for fold in _folds(study, site, agreement).tolist() if fold >= 0}
        if not held:
            remedy = f"fill the column that fold names in {SITE_FILE}, or drop the key and have folds drawn"
            raise InvalidContentError(str(sites[0].parent), "no site holds a unit out in any fold", remedy)
        return list(sites), tuple(sorted(held))
    strata = [study.strata(read_played(site, agreement), agreement) for site in sites]
    drawn = iter(
        hold_out([(site, stratum) for site, units in enumerate(strata) for stratum in units], seed, count)
    )
    played = [
        file.model_copy(update={"folds": tuple(int(next(drawn)) for _ in units)}).write(out / site.name)
        for site, file, units in zip(sites, files, strata, strict=True)
    ]
    return played, tuple(range(count))


def without_fold(study: Study[A, Q], sites: Sequence[Path], agreement: A, fold: int, out: Path) -> list[Path]:
    """Write played sites without the units that a fold holds out, and without any fold.

    Of these units the fold alone is read. A site all of whose units are held out is left out.

    Args:
        study: of the agreement's kind of record.
        sites: site folders, real or played, that have folds.
        agreement: agreement of the sites.
        fold: fold whose units are left out.
        out: folder of the played sites.

    Raises:
        InputError: if folds cannot be read.
    """
    remaining = []
    for site in sites:
        file, kept = play(site), (_folds(study, site, agreement) != fold).nonzero().squeeze(1)
        if len(kept):
            units = kept if file.units is None else torch.tensor(file.units)[kept]
            update = {"units": tuple(units.tolist()), "fold": None, "folds": None}
            remaining.append(file.model_copy(update=update).write(out / site.name))
    return remaining


def _folds(study: Study[A, Q], site: Path, agreement: A) -> Tensor:
    """[U] folds of the units that a site has."""
    file = play(site)
    if file.folds is not None:
        return torch.tensor(file.folds, dtype=torch.long)
    published = study.published(site, file, agreement)
    return published if file.units is None else published[torch.tensor(file.units)]
