"""Examination of a hospital's tables of patients: intake, problems of cells, and proposals."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from client.data.cohort import Cohort
from client.data.reader import read_folder, units_of, units_of_outcomes, wanted_columns
from client.data.tables import ranges_of
from client.intake.changes import Notes
from client.intake.examination import Examined, ExaminedTable
from client.intake.identifiers import normalised
from client.intake.proposing import ProposalSubject, propose
from client.intake.taking import take_file
from client.rules.declaration import IdentifierRules
from client.site_folder.site_file import SiteFile
from client.tables.likely_unit import Ranges
from common.agreement.federation import OUTCOMES, Federation
from common.tasks.labels import likely_time_unit
from common.tasks.survival import SurvivalTask

_STEPS: tuple[dict[str, Any], ...] = (
    {"case": "upper"},
    {"blanks": "remove"},
    {"zeros": "strip"},
    {"case": "upper", "blanks": "remove"},
    {"case": "upper", "zeros": "strip"},
    {"case": "upper", "blanks": "remove", "zeros": "strip"},
)
"""Rules of identifiers from the least to the most that they take for one."""


def examine(folder: Path, site: SiteFile, federation: Federation, names_words: bool) -> Examined:
    """Take in a site folder's tables; see `client.intake.examination.Examination`."""
    tables = []
    for subject in _subjects(folder, site, federation, names_words):
        taken = take_file(subject.path, subject.wanted)
        tables.append(ExaminedTable(subject.wanted.table, subject.path, taken, propose(subject)))
    cohort, problems = read_folder(folder, site, federation)
    if cohort is not None:
        declared = set(site.rules_of(OUTCOMES).declared.columns)
        tables = [_with_time_units(table, cohort, federation, declared) for table in tables]
    warnings = () if cohort is None else cohort.warnings
    indices = {table.table: table.taken.frame.index for table in tables if table.taken.frame is not None}
    return Examined(tables, problems, warnings, _identifiers(indices, site.intake.identifiers))


def _subjects(
    folder: Path, site: SiteFile, federation: Federation, names_words: bool
) -> Iterator[ProposalSubject]:
    tasks = federation.tasks
    if OUTCOMES in site.tables:
        classes = {column: names for task in tasks for column, names in task.classes_of.items()}
        columns = [column for task in tasks for column in task.columns]
        wanted = wanted_columns(site, OUTCOMES, columns, classes, units_of_outcomes(federation))
        binary = frozenset(column for task in tasks for column in task.binary_columns)
        yield ProposalSubject(
            folder / site.tables[OUTCOMES], wanted, binary, _plausible_times(federation), names_words
        )
    for modality in federation.modalities:
        if modality.name in site.tables:
            columns = [*modality.columns, *modality.categories]
            wanted = wanted_columns(site, modality.name, columns, modality.categories, units_of(modality))
            plausible = {column: ranges_of(modality.plausible_for(column)) for column in modality.columns}
            path = folder / site.tables[modality.name]
            yield ProposalSubject(path, wanted, frozenset(), plausible, names_words)


def _plausible_times(federation: Federation) -> dict[str, Ranges]:
    """Column of times -> its unit and the longest plausible follow-up."""
    return {
        task.time: Ranges(task.unit, 0, task.longest, task.typical)
        for task in federation.tasks
        if isinstance(task, SurvivalTask)
    }


def _with_time_units(
    table: ExaminedTable, cohort: Cohort, federation: Federation, declared: Set[str]
) -> ExaminedTable:
    """Propose the units of times that those of the events show."""
    if table.table != OUTCOMES:
        return table
    proposed = dict(table.proposed)
    for task in federation.tasks:
        if isinstance(task, SurvivalTask):
            labelled = cohort.batch.labelled[task.name].all(1)
            time, event = cohort.batch.labels[task.name][labelled].double().numpy().T
            unit = likely_time_unit(time[event == 1], task.unit, task.typical, task.longest, time)
            columns = proposed.get("columns", {})
            if unit is not None and task.time not in columns and task.time not in declared:
                proposed["columns"] = columns | {task.time: {"unit": unit}}
    return replace(table, proposed=proposed)


def _identifiers(indices: Mapping[str, pd.Index], declared: IdentifierRules) -> dict[str, Any]:
    """Propose the fewest rules by which the most patients of other tables have outcomes."""
    if OUTCOMES not in indices:
        return {}
    outcomes = indices[OUTCOMES]
    others = [index for name, index in indices.items() if name != OUTCOMES]
    strangers = sum(int((~index.isin(outcomes)).sum()) for index in others)
    best: dict[str, Any] = {}
    for step in _STEPS if strangers else ():
        if declared.width is not None and "zeros" in step:
            continue
        rules = declared.model_copy(update=step)
        here = _spelled(outcomes, rules)
        if here.has_duplicates:
            continue
        left = sum(int((~_spelled(index, rules).isin(here)).sum()) for index in others)
        if left < strangers:
            best, strangers = step, left
    return best


def _spelled(index: pd.Index, rules: IdentifierRules) -> pd.Index:
    spelled: pd.Index = pd.Index(normalised(index.to_series(), rules, "", "", Notes()))
    return spelled
