"""Patients of a source, written as site folders and a federation file."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.agreement.federation import FILE_NAME, Federation, save
from common.agreement.modalities import Modality
from common.agreement.prior_graph import PriorGraph
from common.agreement.settings import Participant, Training
from common.errors import InputError, InvalidContentError, MissingFileError, StateError, UnreadableFileError
from common.tasks.task import Task
from simulations.cohorts.folders import folder_name, write_site

ROUNDS = 40
"""Rounds in all; a simulation lets half of them fit the linear scores."""

FOLD, GROUP, PRIOR = "fold", "group", "prior"


_REMEDY = "name the folder of public data with --data or CONSILIUM_DATA"


@dataclass(frozen=True)
class SourcePatients:
    """A source's patients before they are split into sites.

    Attributes:
        site: the site of each patient, indexed by patient.
        outcomes: label columns and `fold`, and `group` where there are subgroups; indexed by patient.
        tables: modality -> features, indexed by patient; a patient may be missing.
    """

    site: "pd.Series[Any]"
    outcomes: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def write_patients(
    out: Path,
    name: str,
    patients: SourcePatients,
    modalities: Sequence[Modality],
    tasks: Sequence[Task],
    prior: PriorGraph | None = None,
    minimum_patients: int = 10,
) -> Federation:
    """Write one folder per site, then the federation file; returns the federation.

    Raises:
        InputError: if `out` already holds a federation.
    """
    sites = sorted(set(patients.site))
    outcomes = _by_site(patients.outcomes, patients.site)
    federation = Federation(
        name=name,
        minimum_patients=minimum_patients,
        modalities=tuple(modalities),
        tasks=tuple(tasks),
        prior=prior or PriorGraph(),
        training=Training(rounds=ROUNDS),
        participants=tuple(Participant(name=site, patients=len(outcomes[site])) for site in sites),
    )
    refuse_occupied(out)
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        modality.name: _by_site(patients.tables[modality.name][_columns(modality)], patients.site)
        for modality in modalities
    }
    group = GROUP if GROUP in patients.outcomes else None
    taken = {PRIOR}
    for site in sites:
        folder = folder_name(site)
        while folder in taken:
            folder += "-2"
        taken.add(folder)
        site_tables = {table: parts[site] for table, parts in tables.items() if site in parts}
        write_site(out / folder, site, outcomes[site], site_tables, fold=FOLD, group=group)
    save(federation, out / FILE_NAME)
    return federation


def refuse_occupied(out: Path) -> None:
    """Raise InputError if the folder already holds a federation or sites."""
    if (out / FILE_NAME).exists() or any(out.glob("*/site.toml")):
        raise StateError(str(out), "already holds site folders", "name an empty folder, or delete this one")


def _columns(modality: Modality) -> list[str]:
    return [*modality.columns, *modality.categories]


def _by_site(frame: pd.DataFrame, site: "pd.Series[Any]") -> dict[Hashable, pd.DataFrame]:
    places = frame.groupby(site.reindex(frame.index).to_numpy()).indices
    return {name: frame.iloc[rows] for name, rows in places.items()}


def hold_out(strata: Sequence[Hashable], seed: int, folds: int = 5) -> NDArray[np.int64]:
    """[P] fold of each patient, random, with every stratum spread as evenly as its size allows."""
    order = np.random.default_rng(seed).permutation(len(strata))
    codes = pd.factorize(pd.Series(list(strata), dtype=object))[0]
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[order] = np.arange(len(strata)) % folds
    return fold


def frequent(cells: "pd.Series[Any]", least: int) -> tuple[str, ...]:
    """The levels of a column that at least that many patients have, sorted."""
    counts = cells.dropna().astype(str).value_counts()
    return tuple(sorted(str(level) for level in counts.index[counts >= least]))


def as_levels(cells: "pd.Series[Any]", levels: Sequence[str], other: str | None = None) -> "pd.Series[Any]":
    """Cells as text; one that is none of the levels is missing, or `other` where that is given."""
    text = cells.map(
        lambda cell: str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    )
    kept: pd.Series[Any] = text.where(text.isin(list(levels)), other)
    return kept.where(cells.notna(), None)


def read_public(path: Path, columns: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a public CSV, in which only the empty cell is missing ("NA" is a legal code).

    Args:
        path: the file.
        columns: columns it must have; others are kept too.
        text: columns read as text.

    Raises:
        InputError: if it is missing, is not a CSV or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False, na_values=[""])
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from None
    return _with_columns(path, frame, columns)


def read_public_parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a public Parquet table.

    Raises:
        InputError: if it is missing, is not Parquet or lacks a column.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return _with_columns(path, frame, columns)


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return MissingFileError(str(path), "there is no such file", _REMEDY)
    return UnreadableFileError(str(path), f"cannot be read ({type(error).__name__})", "fetch it again")


def _with_columns(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    if missing := [column for column in columns if column not in frame.columns]:
        raise InvalidContentError(
            f"{path}, column {missing[0]}", "is missing", "use the layout this cohort was published in"
        )
    return frame
