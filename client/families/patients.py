"""Patients at a hospital: reading of tables, data passport, and words of the approval."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from client.data.cohort import Cohort, joined, passport
from client.data.packing import pack_site, unpack_site
from client.disclosures.disclosure import LEVEL
from client.families.cells import Cells
from client.families.noised_statistics import bounded_sums
from client.families.reader import Reader
from client.families.wording import listed, shown
from client.site_folder.site_file import SiteFile
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.labels import column_label, modality_label, task_label
from common.agreement.modalities import Modality
from common.counting import counted
from common.errors import InputError
from common.models.graphs import Prior
from common.models.parameter_groups import ModelGroups
from common.patients.batch import PatientBatch
from common.patients.declared_sums import Array, moments_name, rest_name, tasks_with_rest
from common.tasks.task import Task

SHOWN = 40
"""Columns of a modality that are named one by one."""


class PatientReader:
    """Patients as a hospital's family; see `client.families.reader.Reader`."""

    def read(
        self, folder: Path, site: SiteFile, agreement: Federation
    ) -> tuple[Cohort | None, list[InputError]]:
        """Read outcomes and modalities; the cohort is None if outcomes cannot be read."""
        from client.data.reader import (
            read_folder,  # brings pandas, which a site opened from its cache is spared
        )

        return read_folder(folder, site, agreement)

    def joined(self, holdings: Sequence[Cohort], site: SiteFile, units: Tensor, fold: Tensor) -> Cohort:
        """Patients of all cohorts at these indices."""
        return joined(holdings, site, units, fold)

    def absent(self, holding: Cohort, agreement: Federation) -> frozenset[str]:
        """Modalities without a table."""
        return frozenset(modality.name for modality in agreement.modalities) - set(holding.unmatched)

    def source(self, holding: Cohort, table: str, column: str) -> str:
        """File and column, as `site.toml` names them."""
        return holding.file.source_of(table, column)

    def bounded_sums(self, records: PatientBatch, agreement: Federation) -> Array:
        """Sums over patients of values scaled by their ends."""
        return bounded_sums(records, agreement)

    def cells(self, holding: Cohort, agreement: Federation, groups: ModelGroups) -> Sequence[Cells]:
        """Moments of nodes and tasks, patients of the averaging groups, and labels."""
        records, file = holding.records, holding.file
        cells = [_modality_cells(holding, part) for part in agreement.modalities if part.scale != "none"]
        for task in agreement.tasks:
            labels, labelled = records.labels[task.name], records.labelled[task.name]
            raw = _raw_labels(task, labels)
            if task.moment_columns:
                _, seen = task.moment_values(labels, labelled)
                names = [f"sums of {file.source_of(OUTCOMES, column)}" for column in task.moment_sources]
                values = raw[:, [task.columns.index(column) for column in task.moment_sources]]
                forms = [f"{task.kind} {number}" for number in range(task.moment_columns)]
                cells.append(_cells(moments_name(task), names, forms, seen, values))
                if task in tasks_with_rest(agreement):
                    _, others = task.rest_values(labels, labelled)
                    cells.append(_cells(rest_name(task), names, forms, others, values))
            names = [f"labels of {file.source_of(OUTCOMES, column)}" for column in task.columns]
            cells.append(_cells("", names, [""] * len(names), labelled, raw))
        sources = {
            task.name: [file.source_of(OUTCOMES, column) for column in task.columns]
            for task in agreement.tasks
        }
        for group, seen in groups.patients_in(records).items():
            behind = [] if group.modality is None else [file.source_of(group.modality)]
            behind += [] if group.task is None else sources[group.task]
            name = " and ".join(["patients", *behind])
            cells.append(_cells("", [name], [""], seen[:, None], torch.zeros(len(records), 1)))
        return cells

    def pack(self, public: Prior, holding: Cohort) -> dict[str, Tensor]:
        """Graphs and patients, without subgroups."""
        return pack_site(public, holding)

    def unpack(
        self, tensors: dict[str, Tensor], site: SiteFile, agreement: Federation
    ) -> tuple[Prior, Cohort]:
        """The inverse of `pack`."""
        return unpack_site(tensors, site, agreement)

    def passport(self, holding: Cohort, agreement: Federation) -> dict[str, Any]:
        """Patients, labels by task, and missing cells by modality."""
        return passport(holding, agreement)

    def passport_lines(self, passport: dict[str, Any]) -> list[str]:
        """A line for the cohort, and for every modality and task."""
        lines = [f"{passport['site']}: {passport['patients']:,} patients"]
        for name, part in passport["modalities"].items():
            line = f"  {name}: {counted(part['patients'], 'patient')}"
            if part["patients"]:
                line += f", {part['missing']:.0%} of their cells missing"
            if part["unmatched"]:
                line += f"; left out without outcomes: {counted(part['unmatched'], 'row')}"
            lines.append(line)
        for name, counts in passport["tasks"].items():
            lines.append(f"  {name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        return lines

    def said(self, agreement: Federation, file: Path) -> Iterator[str]:
        """Columns of every modality and task."""
        for modality in agreement.modalities:
            of_modality = _called(modality.name, modality_label(agreement, modality.name))
            yield f"  - {of_modality}: {counted(len(modality.nodes), 'value')} per patient ({modality.node})"
            yield from _columns(modality, agreement, file)
        tasks = {task.name: _called(task.name, task_label(agreement, task.name)) for task in agreement.tasks}
        yield f"  - a model for {', '.join(tasks.values())}"
        for task in agreement.tasks:
            columns = (_called(name, column_label(agreement, OUTCOMES, name)) for name in task.columns)
            yield from listed(f"{task.name}, columns of {OUTCOMES}", columns)


def _modality_cells(holding: Cohort, modality: Modality) -> Cells:
    """Sums of a modality: all that is made of one column has its name, and its values."""
    seen, nodes = holding.records.observed[modality.name], holding.records.values[modality.name]
    size, source = len(modality.columns), holding.file.source_of
    values = [holding.raw.get(modality.name, nodes[:, :size])[:, :size].double()]
    names = [source(modality.name, column) for column in modality.columns]
    forms = [f"{modality.transform} {modality.clip}"] * size
    for column, levels in modality.categories.items():
        hot = nodes[:, size : size + len(levels)].double()
        index = hot @ torch.tensor([_number(level) for level in levels], dtype=torch.float64)
        values.append(index[:, None].expand(-1, len(levels)))
        names += [source(modality.name, column)] * len(levels)
        forms += [LEVEL + level for level in levels]
        size += len(levels)
    return _cells(
        f"modality:{modality.name}", [f"sums of {name}" for name in names], forms, seen, torch.cat(values, 1)
    )


def _raw_labels(task: Task, labels: Tensor) -> Tensor:
    """Labels as the table has them, whatever the order of classes."""
    raw = labels.double().clone()
    for column, classes in task.classes_of.items():
        index = task.columns.index(column)
        numbers = torch.tensor([_number(name) for name in classes], dtype=torch.float64)
        raw[:, index] = numbers[labels[:, index].long().clamp(0, len(classes) - 1)]
    return raw


def _number(text: str) -> float:
    """Number that a text stands for in a comparison: what it says, or a hash."""
    try:
        return float(text)
    except ValueError:
        return float(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()))


def _cells(sums: str, names: Sequence[str], forms: Sequence[str], seen: Tensor, values: Tensor) -> Cells:
    kept = torch.where(seen, values.double(), 0.0)
    return Cells(sums, tuple(names), tuple(forms), seen.numpy(), kept.numpy())


def _columns(modality: Modality, agreement: Federation, file: Path) -> Iterator[str]:
    """The columns that are read: all of them, or the first and where the others are named."""
    levels = {column: f" ({counted(len(names), 'level')})" for column, names in modality.categories.items()}
    names = [
        _called(name, column_label(agreement, modality.name, name)) + levels.get(name, "")
        for name in (*modality.columns, *modality.categories)
    ]
    yield from listed("columns", names[:SHOWN])
    if (more := len(names) - SHOWN) > 0:
        yield f"      and {more:,} more of {len(names):,}, all of them named in {file}"


def _called(name: str, label: str) -> str:
    """A name as it is in the tables, with the words that the federation file has for it."""
    return shown(name) if label == name else f"{shown(name)} = \u201c{label}\u201d"


READER: Reader[Federation, Cohort, PatientBatch, Prior] = PatientReader()
