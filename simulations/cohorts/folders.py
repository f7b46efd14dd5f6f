"""Site folders on one machine: writing, listing, twins, and pooling several into one."""

import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import tomli_w

from client.data.tables import as_text
from client.site_folder.site_file import SITE_FILE, SiteFile, parse_site_file, site_toml
from common.agreement.federation import OUTCOMES
from common.errors import MissingFileError

ID = "patient"


WIDE = 40
"""Tables with more columns than this are Parquet, read back ten times faster, unless they hold a CSV's text."""


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
    text: Collection[str] = (),
) -> None:
    """Write one site folder, whole or not at all; an older one of that name is replaced.

    Args:
        folder: the site folder itself.
        name: the participant's name in the federation file.
        outcomes: labels, one row per patient, indexed by patient.
        tables: modality -> features, indexed by patient; a table without rows is not written.
        fold: column of `outcomes` with the held-out fold.
        group: column of `outcomes` with the subgroup to report.
        text: tables to write as CSV however wide: how they mark a missing cell means something in CSV only.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = {OUTCOMES: f"{OUTCOMES}.csv"}
    outcomes.to_csv(temporary / files[OUTCOMES], index_label=ID)
    for table, frame in tables.items():
        if frame.empty:
            continue
        parquet = frame.shape[1] > WIDE and table not in text
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

    A run writes into the twin and not into the hospital's folder.

    The tables are the site's own, read where they are. `policy` and `approved` are left out: a simulation asks no
    hospital for leave.
    """
    file = parse_site_file(site)
    description = site_toml(site).data
    for bound in ("policy", "approved"):
        description.pop(bound, None)
    tables = {table: str(site.resolve() / name) for table, name in file.tables.items()}
    folder.mkdir(parents=True)
    text = tomli_w.dumps({**description, "tables": tables})
    (folder / SITE_FILE).write_text(text, encoding="utf-8")
    return folder


def pool_sites(
    sites: Sequence[Path],
    out: Path,
    name: str,
    folds: Sequence[int] | None = None,
    kept: Sequence[bool] | None = None,
) -> Path:
    """Write one site folder with the patients of several, in their order, and return it.

    Each site's own column names give way to the federation's; identifiers are prefixed with the site's place,
    so that equal ones stay different patients. A patient without a group keeps the site's name as group.

    Args:
        sites: site folders.
        out: the folder that will hold the pooled one.
        name: name of the pooled site.
        folds: the fold to hold each patient out in, in place of the sites' own.
        kept: whether a patient is written; the rows of the others are in no table, and no folds are written.
    """
    files = [parse_site_file(site) for site in sites]
    outcomes = _joined(
        [
            _federation_table(path, file, OUTCOMES, number)
            for number, (path, file) in enumerate(zip(sites, files, strict=True))
        ]
    )
    names = list(dict.fromkeys(table for file in files for table in file.tables if table != OUTCOMES))
    tables = {
        table: _joined(
            [
                _federation_table(path, file, table, number)
                for number, (path, file) in enumerate(zip(sites, files, strict=True))
                if table in file.tables
            ]
        )
        for table in names
    }
    folder = out / folder_name(name)
    if kept is not None:
        outcomes = outcomes[list(kept)].drop(columns=_POOLED_FOLD, errors="ignore")
        tables = {table: frame[frame.index.isin(outcomes.index)] for table, frame in tables.items()}
    if folds is not None:
        outcomes[_POOLED_FOLD] = list(folds)
    fold = _POOLED_FOLD if _POOLED_FOLD in outcomes else None
    text = {table for file in files for table, path in file.tables.items() if not path.endswith(".parquet")}
    write_site(folder, name, outcomes, tables, fold=fold, group=_POOLED_GROUP, text=text)
    return folder


_POOLED_FOLD, _POOLED_GROUP = "held_out_fold", "reported_group"


def _federation_table(folder: Path, site: SiteFile, table: str, number: int) -> pd.DataFrame:
    """Table of one site under the federation's column names; CSV cells stay text."""
    path = folder / site.tables[table]
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        if site.id not in frame.columns:
            frame = frame.reset_index()
    else:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    frame.index = pd.Index([f"{number}:{as_text(patient)}" for patient in frame[site.id]], name=ID)
    renamed = {ours: frame[theirs] for ours, theirs in site.columns.get(table, {}).items()}
    if table == OUTCOMES:
        renamed[_POOLED_GROUP] = (
            pd.Series(site.name, index=frame.index)
            if site.group is None
            else frame[site.group].fillna(site.name)
        )
        if site.fold is not None:
            renamed[_POOLED_FOLD] = frame[site.fold]
    kept = frame.drop(columns=[site.id, *(column for column in renamed if column in frame.columns)])
    return pd.concat([kept, pd.DataFrame(renamed, index=frame.index)], axis=1)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of all sites.

    A column that is text at one site and numbers at another becomes numbers where it can.
    """
    joined = pd.concat(frames)
    if len({str(dtype) for frame in frames for dtype in frame.dtypes}) == 1:
        return joined
    for column in joined.select_dtypes(object).columns:
        numbers = pd.to_numeric(joined[column], errors="coerce")
        joined[column] = (
            numbers if numbers.isna().equals(joined[column].isna()) else joined[column].astype("string")
        )
    return joined
