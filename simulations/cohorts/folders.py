"""Site folders on one machine: written, listed, and played from where they are."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import tomli_w

from client.site_folder.played_site import PlayedSite, play
from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import OUTCOMES
from common.errors import MissingFileError

ID = "patient"


WIDE = 40
"""Tables with more columns than this are Parquet, which is read back ten times faster."""


def folder_name(site: str) -> str:
    """A site's name as a folder name: lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", site.lower()).strip("-") or "site"


def find_sites(folder: Path) -> list[Path]:
    """The site folders directly under a folder, sorted by name.

    Raises:
        InputError: if there are none.
    """
    sites = sorted(path.parent for path in folder.glob(f"*/{SITE_FILE}"))
    if not sites:
        raise MissingFileError(
            str(folder), "holds no site folder", f"name a folder whose sub-folders have a {SITE_FILE}"
        )
    return sites


def write_site(
    folder: Path,
    name: str,
    outcomes: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    fold: str | None = None,
    group: str | None = None,
) -> None:
    """Write one site folder, whole or not at all; an older one of that name is replaced.

    Args:
        folder: the site folder itself.
        name: the participant's name in the federation file.
        outcomes: labels, one row per patient, indexed by patient.
        tables: modality -> features, indexed by patient; a table without rows is not written.
        fold: column of `outcomes` with the held-out fold.
        group: column of `outcomes` with the subgroup to report.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = {OUTCOMES: f"{OUTCOMES}.csv"}
    outcomes.to_csv(temporary / files[OUTCOMES], index_label=ID)
    for table, frame in tables.items():
        if frame.empty:
            continue
        parquet = frame.shape[1] > WIDE
        files[table] = f"{table}.{'parquet' if parquet else 'csv'}"
        if parquet:
            frame.rename_axis(ID).reset_index().to_parquet(temporary / files[table], index=False)
        else:
            frame.to_csv(temporary / files[table], index_label=ID)
    columns = {key: value for key, value in (("fold", fold), ("group", group)) if value is not None}
    description = {"name": name, "id": ID, **columns, "tables": files}
    (temporary / SITE_FILE).write_text(tomli_w.dumps(description), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def twin(site: Path, folder: Path) -> Path:
    """Make `folder` a site folder of the same patients, and return it.

    What writes into the twin leaves the hospital's folder alone; tables are read where they are.
    """
    return play(site).model_copy(update={"origin": ""}).write(folder)


def pool_sites(sites: Sequence[Path], out: Path, name: str) -> Path:
    """Play the patients of several sites as one, in their order; return its folder below `out`.

    Nobody's hospital trains on pooled data: it trains where and how all hospitals do, and otherwise as without a word
    in `site.toml`.
    """
    folder = out / folder_name(name)
    parts = [play(site).write(folder / str(number)) for number, site in enumerate(sites)]
    files = [play(site) for site in sites]
    shared = {
        key: values.pop() for key in _TRAINING if len(values := {getattr(file, key) for file in files}) == 1
    }
    return PlayedSite(name=name, tables={}, parts=tuple(map(str, parts)), **shared).write(folder)


_TRAINING = ("device", "deterministic", "precision")
"""Keys of `site.toml` that say where and how a hospital trains."""


def site_files(sites: Iterable[Path]) -> Iterator[Path]:
    """Yield the site file and the tables of every site folder."""
    for site in sites:
        yield site / SITE_FILE
        yield from (site / table for _, table in sorted(play(site).tables.items()))
