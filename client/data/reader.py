"""Reading of a hospital's tables into a validated cohort.

Only here are patient identifiers read. Rows are joined on the id column; the ids end here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from client.data.cohort import Cohort
from client.data.outcomes import folds, groups, read_labels
from client.data.tables import Array, Table, codes, numbers, range_problems, read_table, unit_warnings
from client.site_folder.site_file import SiteFile
from client.site_folder.site_key import MARK, marks_of, read_key
from client.tables.checked import Checked
from client.tables.header import Wanted
from client.tables.identifiers import match_problem
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.counting import counted
from common.errors import InputError, InvalidContentError
from common.patients.batch import PatientBatch


def read_folder(
    folder: Path, site: SiteFile, federation: Federation
) -> tuple[Cohort | None, list[InputError]]:
    """Read a site folder's tables with all problems; None if outcomes cannot be read."""
    columns = [column for task in federation.tasks for column in task.columns]
    classes = {column: names for task in federation.tasks for column, names in task.classes_of.items()}
    table = _site_table(folder, site, OUTCOMES, columns, classes, units_of_outcomes(federation))
    outcomes, problems = table.value, list(table.problems)
    if outcomes is None:
        return None, problems
    patients = outcomes.frame.index
    if len(patients) < federation.minimum_patients:
        what = f"has {counted(len(patients), 'patient')} where the federation asks for {federation.minimum_patients}"
        remedy = "pool this site with another or do not take part"
        problems.append(InvalidContentError(str(outcomes.path), what, remedy))
    declared = (federation.declared_patients or {}).get(site.name)
    if declared is not None and len(patients) > declared:
        what = f"has {counted(len(patients), 'patient')} where the federation file declares {declared} for {site.name}"
        remedy = "ask the coordinator to declare more, and approve the new federation file"
        problems.append(InvalidContentError(str(outcomes.path), what, remedy))
    values, observed, raw, warnings = {}, {}, {}, list[InputError]()
    unmatched: dict[str, int] = {}
    for modality in federation.modalities:
        nodes = _read_modality(folder, site, modality, patients)
        problems += nodes.problems
        warnings += nodes.warnings
        if nodes.value.unmatched is not None:
            unmatched[modality.name] = nodes.value.unmatched
        values[modality.name] = torch.from_numpy(np.nan_to_num(nodes.value.cells, nan=0.0))
        observed[modality.name] = torch.from_numpy(~np.isnan(nodes.value.cells))
        if modality.changes_values:
            raw[modality.name] = torch.from_numpy(np.nan_to_num(nodes.value.raw, nan=0.0))
    labels, labelled = {}, {}
    for task in federation.tasks:
        cells = read_labels(outcomes, task)
        problems += cells.problems
        warnings += cells.warnings
        labels[task.name] = torch.from_numpy(np.nan_to_num(cells.value)).float()
        labelled[task.name] = torch.from_numpy(~np.isnan(cells.value))
    batch = PatientBatch(values, observed, labels, labelled)
    fold = folds(outcomes, site.fold)
    group = groups(outcomes, site.group, site.name)
    marks = marks_of(patients, read_key(folder))
    cohort = Cohort(
        site.name,
        batch,
        fold.value,
        group.value,
        unmatched,
        torch.frombuffer(bytearray(marks), dtype=torch.uint8).view(-1, MARK),
        raw,
        site,
        tuple(map(str, warnings)),
    )
    return cohort, [*problems, *fold.problems, *group.problems]


def _site_table(
    folder: Path,
    site: SiteFile,
    table: str,
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    units: Mapping[str, str],
) -> Checked[Table | None]:
    return read_table(folder / site.tables[table], wanted_columns(site, table, columns, categories, units))


def units_of_outcomes(federation: Federation) -> dict[str, str]:
    """Column of outcomes -> the unit that the federation file asks for."""
    return {
        column: task.outcome_unit
        for task in federation.tasks
        for column in task.columns
        if column not in task.classes_of and column not in task.binary_columns
    }


def units_of(modality: Modality) -> dict[str, str]:
    """Column of a modality -> the unit that the federation file asks for."""
    return {column: modality.plausible_for(column).unit for column in modality.columns}


def wanted_columns(
    site: SiteFile,
    table: str,
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    units: Mapping[str, str],
) -> Wanted:
    """Columns of a table under the hospital's names, with its rules of intake."""
    of_outcomes = table == OUTCOMES
    return Wanted(
        table=table,
        identifier=site.identifier_of(table),
        columns=columns,
        renamed=site.columns.get(table, {}),
        categories=categories,
        numbers=(site.fold,) if of_outcomes and site.fold is not None else (),
        texts=(site.group,) if of_outcomes and site.group is not None else (),
        rules=site.rules_of(table),
        units=units,
    )


@dataclass(frozen=True)
class _Nodes:
    """Values of a modality.

    Attributes:
        cells: [P, nodes] transformed values, NaN where not observed.
        raw: [P, columns] numeric values before the transform, NaN where not observed.
        unmatched: number of rows whose patient has no outcomes row; None if the site has no usable table.
    """

    cells: NDArray[np.float32]
    raw: NDArray[np.float32]
    unmatched: int | None


def _read_modality(folder: Path, site: SiteFile, modality: Modality, patients: pd.Index) -> Checked[_Nodes]:
    nothing = np.full((len(patients), len(modality.nodes)), np.nan, dtype=np.float32)
    absent = _Nodes(nothing, nothing[:, : len(modality.columns)], None)
    if modality.name not in site.tables:
        return Checked(absent)
    columns = [*modality.columns, *modality.categories]
    read = _site_table(folder, site, modality.name, columns, modality.categories, units_of(modality))
    if read.value is None:
        return Checked(absent, read.problems)
    table, problems = read.value, list(read.problems)
    rows = table.frame.index
    unmatched = int((~rows.isin(patients)).sum())
    if (
        mismatch := match_problem(table.path, site.identifier_of(modality.name), rows, patients, OUTCOMES)
    ) is not None:
        problems.append(mismatch)
    cells = node_values(table.of(patients), modality)
    return Checked(_Nodes(*cells.value, unmatched), (*problems, *cells.problems), cells.warnings)


def node_values(table: Table, modality: Modality) -> Checked[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Read a modality's values, transformed [P, nodes] and raw [P, columns], NaN where absent."""
    numeric = numbers(table, modality.columns)
    cells, problems = numeric.value, list(numeric.problems)
    raw: NDArray[np.float32] = cells.astype(np.float32)
    plausible = [modality.plausible_for(column) for column in modality.columns]
    problems += range_problems(table, modality.columns, plausible, cells)
    warnings = tuple(unit_warnings(table, modality.columns, plausible, cells))
    if modality.transform == "signed_log":
        cells = np.sign(cells) * np.log1p(np.abs(cells))
    if modality.clip is not None:
        cells = cells.clip(*modality.clip)
    levels = []
    for column, names in modality.categories.items():
        indices = codes(table, column, names)
        problems += indices.problems
        levels.append(_one_hot(indices.value, len(names)))
    nodes: NDArray[np.float32] = np.concatenate([cells, *levels], axis=1).astype(np.float32)
    return Checked((nodes, raw), tuple(problems), warnings)


def _one_hot(indices: NDArray[np.int64], levels: int) -> Array:
    """Encode indices as [P, levels] of 0 and 1, NaN where the index is negative."""
    hot: Array = np.eye(levels)[np.maximum(indices, 0)]
    hot[indices < 0] = np.nan
    return hot
