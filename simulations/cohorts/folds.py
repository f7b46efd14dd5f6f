"""Folds of held-out patients: as published in the site folders, or drawn here."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from client.data.inspection import read_cohort
from client.data.outcomes import folds
from client.data.tables import read_table
from client.site_folder.site_file import SITE_FILE, SiteFile, read_site_file
from common.agreement.federation import OUTCOMES, Federation
from common.errors import InvalidContentError
from simulations.cohorts.folders import pool_sites
from simulations.cohorts.patients import hold_out


def with_folds(
    sites: Sequence[Path], federation: Federation, out: Path, count: int, seed: int
) -> tuple[list[Path], tuple[int, ...]]:
    """(site folders that name a fold, the folds there are).

    Every site names its folds or none does. Where none does, copies with `count` folds are written to `out`:
    random, every site and outcome spread as evenly as its size allows.

    Raises:
        InputError: if only some sites name folds or folds cannot be read, or they are to be drawn and a site's
            tables are not valid.
    """
    files = [read_site_file(site, federation) for site in sites]
    if any(file.fold for file in files):
        if not all(file.fold for file in files):
            remedy = "name it in every site or in none, to have folds drawn"
            raise InvalidContentError(
                str(sites[0].parent), f"some {SITE_FILE} name a fold column and some do not", remedy
            )
        published: set[int] = set()
        for site, file in zip(sites, files, strict=True):
            published |= {fold for fold in _published(site, file).tolist() if fold >= 0}
        if not published:
            remedy = f"fill the column that fold names in {SITE_FILE}, or drop the key and have folds drawn"
            raise InvalidContentError(str(sites[0].parent), "no site holds a patient out in any fold", remedy)
        return list(sites), tuple(sorted(published))
    last = [
        read_cohort(site, federation).batch.labels[federation.tasks[0].name][:, -1].tolist() for site in sites
    ]
    strata = [(number, outcome) for number, outcomes in enumerate(last) for outcome in outcomes]
    drawn = iter(hold_out(strata, seed, count).tolist())
    copies = [
        pool_sites([site], out / site.name, file.name, [next(drawn) for _ in outcomes])
        for site, file, outcomes in zip(sites, files, last, strict=True)
    ]
    return copies, tuple(range(count))


def without_fold(sites: Sequence[Path], federation: Federation, fold: int, out: Path) -> list[Path]:
    """Copy site folders, without the patients whom a fold holds out and without any fold.

    Of these patients the fold alone is read. A site all of whose patients are held out has no copy.

    Args:
        sites: site folders that name a fold.
        federation: agreement of the sites.
        fold: fold whose patients are left out.
        out: folder of the copies.

    Raises:
        InputError: if folds cannot be read.
    """
    copies = []
    for site in sites:
        file = read_site_file(site, federation)
        kept = (_published(site, file) != fold).tolist()
        if any(kept):
            copies.append(pool_sites([site], out / site.name, file.name, kept=kept))
    return copies


def _published(site: Path, file: SiteFile) -> Tensor:
    """Read the [P] folds in a site's outcomes, which name a column for them; -1 for none."""
    assert file.fold is not None
    remedy = f"correct fold in {SITE_FILE}"
    table = read_table(site / file.tables[OUTCOMES], file.id, {}, [file.fold], {}, remedy)
    if table.value is None:
        raise table.problems[0]
    held_out = folds(table.value, file.fold)
    if held_out.problems:
        raise held_out.problems[0]
    return held_out.value
