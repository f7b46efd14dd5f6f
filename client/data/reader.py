"""A hospital's own tables -> a validated cohort. The only place where patient identifiers are read.

Rows are joined on the id column; the ids end here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from client.data.cohort import Cohort
from client.data.outcomes import folds, groups, read_labels
from client.data.tables import Array, Table, check_ranges, codes, numbers, read_table
from client.site_folder.site_file import SITE_FILE, SiteFile
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.errors import InputError
from common.patients.batch import PatientBatch


def read_folder(
    folder: Path, site: SiteFile, federation: Federation
) -> tuple[Cohort | None, list[InputError]]:
    """Read a site folder's tables and list every problem in them; the cohort is None if outcomes cannot be read."""
    problems: list[InputError] = []
    columns = [column for task in federation.tasks for column in task.columns]
    classes = {column: names for task in federation.tasks for column, names in task.classes_of.items()}
    outcomes = _site_table(folder, site, OUTCOMES, columns, classes, problems)
    if outcomes is None:
        return None, problems
    patients = outcomes.frame.index
    if len(patients) < federation.minimum_patients:
        what = f"has {len(patients)} patients where the federation asks for {federation.minimum_patients}"
        problems.append(
            InputError(str(outcomes.path), what, "pool this site with another or do not take part")
        )
    values, observed = {}, {}
    unmatched: dict[str, int] = {}
    for modality in federation.modalities:
        nodes = _read_modality(folder, site, modality, patients, problems, unmatched)
        values[modality.name] = torch.from_numpy(np.nan_to_num(nodes, nan=0.0))
        observed[modality.name] = torch.from_numpy(~np.isnan(nodes))
    labels, labelled = {}, {}
    for task in federation.tasks:
        cells = read_labels(outcomes, task, problems)
        labels[task.name] = torch.from_numpy(np.nan_to_num(cells)).float()
        labelled[task.name] = torch.from_numpy(~np.isnan(cells))
    batch = PatientBatch(values, observed, labels, labelled)
    fold = folds(outcomes, site.fold, problems)
    group = groups(outcomes, site.group, site.name, problems)
    return Cohort(site.name, batch, fold, group, unmatched), problems


def _site_table(
    folder: Path,
    site: SiteFile,
    table: str,
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    problems: list[InputError],
) -> Table | None:
    remedy = f"add it, or map it under [columns.{table}] in {SITE_FILE}"
    path, own = folder / site.tables[table], site.columns.get(table, {})
    return read_table(path, site.id, own, columns, categories, remedy, problems)


def _read_modality(
    folder: Path,
    site: SiteFile,
    modality: Modality,
    patients: pd.Index,
    problems: list[InputError],
    unmatched: dict[str, int],
) -> NDArray[np.float32]:
    """[P, nodes] transformed values, NaN where not observed; all NaN when the site has no such table."""
    table = None
    if modality.name in site.tables:
        columns = [*modality.columns, *modality.categories]
        table = _site_table(folder, site, modality.name, columns, modality.categories, problems)
    if table is None:
        return np.full((len(patients), len(modality.nodes)), np.nan, dtype=np.float32)
    unmatched[modality.name] = int((~table.frame.index.isin(patients)).sum())
    if unmatched[modality.name] == len(table.frame):
        what = f"none of its patients is in the {OUTCOMES} table"
        remedy = "use the same identifiers in both"
        problems.append(InputError(f"{table.path}, column {site.id}", what, remedy))
    table = table.of(patients)
    cells = numbers(table, modality.columns, problems)
    plausible = [modality.plausible_for(column) for column in modality.columns]
    check_ranges(table, modality.columns, plausible, cells, problems)
    if modality.transform == "signed_log":
        cells = np.sign(cells) * np.log1p(np.abs(cells))
    if modality.clip is not None:
        cells = cells.clip(*modality.clip)
    levels = [
        _one_hot(codes(table, column, names, problems), len(names))
        for column, names in modality.categories.items()
    ]
    nodes: NDArray[np.float32] = np.concatenate([cells, *levels], axis=1).astype(np.float32)
    return nodes


def _one_hot(places: NDArray[np.int64], levels: int) -> Array:
    """[P, levels] of 0 and 1, NaN where the place is negative."""
    hot: Array = np.eye(levels)[np.maximum(places, 0)]
    hot[places < 0] = np.nan
    return hot
