"""Patients without outcomes, for prediction, however many they are.

Identifiers stand beside the batch and never in it; whoever predicts gives them back to the person who asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from client.data.reader import node_values, units_of, wanted_columns
from client.data.tables import Table, read_table, table_of
from client.site_folder.site_file import SiteFile
from client.tables.checked import Checked
from client.tables.header import Wanted
from client.tables.identifiers import blanks_problem, spelling_problem
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.errors import InputError, InvalidContentError
from common.patients.batch import PatientBatch


@dataclass(frozen=True)
class UnlabelledPatients:
    """Patients without outcomes.

    Attributes:
        identifiers: of the patients, in the order of the first table that has them.
        batch: the same patients, without labels.
        warnings: sentences on what may be wrong in the tables, without a value.
    """

    identifiers: tuple[str, ...]
    batch: PatientBatch
    warnings: tuple[str, ...]


def read_files(files: Mapping[str, Path], site: SiteFile, federation: Federation) -> UnlabelledPatients:
    """Read patients from tables of modalities, under the hospital's column names.

    Raises:
        InputError: with the first problem of the tables.
    """
    tables = {
        modality.name: read_table(files[modality.name], _wanted(site, modality))
        for modality in federation.modalities
        if modality.name in files
    }
    return _joined(tables, site, federation)


def take_frames(
    frames: Mapping[str, pd.DataFrame], site: SiteFile, federation: Federation
) -> UnlabelledPatients:
    """Take patients from tables of modalities in memory.

    Raises:
        InputError: with the first problem of the tables; or if rows of several could only be joined by their number.
    """
    for name, frame in frames.items():
        is_numbered = frame.index.name is None and pd.api.types.is_integer_dtype(frame.index.dtype)
        if len(frames) > 1 and is_numbered and site.identifier_of(name) not in frame.columns:
            what = "is missing, and the index numbers the rows alone"
            remedy = "add the column, or name the index if it has the patients: rows are joined by patient"
            raise InvalidContentError(f"{name}, column {site.identifier_of(name)}", what, remedy)
    tables = {
        modality.name: table_of(Path(modality.name), frames[modality.name], _wanted(site, modality))
        for modality in federation.modalities
        if modality.name in frames
    }
    return _joined(tables, site, federation)


def _wanted(site: SiteFile, modality: Modality) -> Wanted:
    columns = [*modality.columns, *modality.categories]
    return wanted_columns(site, modality.name, columns, modality.categories, units_of(modality))


def _joined(
    read: Mapping[str, Checked[Table | None]], site: SiteFile, federation: Federation
) -> UnlabelledPatients:
    problems = [problem for checked in read.values() for problem in checked.problems]
    _refuse(problems)
    tables = {name: checked.value for name, checked in read.items() if checked.value is not None}
    patients = pd.Index([])
    for name, table in tables.items():
        rows = table.frame.index
        _refuse(blanks_problem(table.path, site.identifier_of(name), rows))
        for other in list(tables)[: list(tables).index(name)]:
            problem = spelling_problem(
                table.path, site.identifier_of(name), rows, tables[other].frame.index, other
            )
            _refuse(problem)
        patients = patients.append(rows[~rows.isin(patients)])
    values, observed, warnings = {}, {}, list[InputError]()
    for modality in federation.modalities:
        cells = np.full((len(patients), len(modality.nodes)), np.nan, dtype=np.float32)
        if modality.name in tables:
            nodes = node_values(tables[modality.name].of(patients), modality)
            problems += nodes.problems
            warnings += nodes.warnings
            cells = nodes.value[0]
        values[modality.name] = torch.from_numpy(np.nan_to_num(cells, nan=0.0))
        observed[modality.name] = torch.from_numpy(~np.isnan(cells))
    _refuse(problems)
    return UnlabelledPatients(
        tuple(map(str, patients)), PatientBatch(values, observed, {}, {}), tuple(map(str, warnings))
    )


def _refuse(problems: "list[InputError] | InputError | None") -> None:
    if isinstance(problems, InputError):
        raise problems
    if problems:
        raise problems[0]
